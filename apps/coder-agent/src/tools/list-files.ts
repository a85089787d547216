import { Type } from '@sinclair/typebox'
import { treePath } from '../workspace/tree-path.ts'
import { defineTool } from './tool.ts'
import { fitsWildcard } from './wildcard.ts'

export const listFiles = defineTool({
  name: 'list_files',
  description: 'Lists the files of the repository with their sizes in bytes, all of them or those below a folder.',
  input: Type.Object(
    {
      folder: Type.Optional(
        Type.String({ maxLength: 1024, description: 'relative to the root; the root when absent' }),
      ),
      pattern: Type.Optional(
        Type.String({ minLength: 1, maxLength: 200, description: 'whole paths that fit; * stands for any characters' }),
      ),
    },
    { additionalProperties: false },
  ),
  async run({ folder = '', pattern = '*' }, { workspace }) {
    const below = treePath(folder)
    if (below !== '') await workspace.entry(below)
    const entries = (await workspace.entries()).filter(
      ({ path }) => (below === '' || path.startsWith(`${below}/`)) && fitsWildcard(path, pattern),
    )
    if (entries.length === 0) return { text: 'no files' }
    const lines = entries
      .slice(0, LINES_MAX)
      .map(({ path, bytes, kind }) => `${path} ${kind === 'link' ? 'link' : bytes}`)
    if (entries.length > LINES_MAX) lines.push(`… and ${entries.length - LINES_MAX} more; ask for a folder`)
    return { text: lines.join('\n') }
  },
})

const LINES_MAX = 500
