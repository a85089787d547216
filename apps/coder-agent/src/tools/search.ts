import { Type } from '@sinclair/typebox'
import { Refused } from '../workspace/refused.ts'
import { treePath } from '../workspace/tree-path.ts'
import { storable } from './bounded-text.ts'
import { defineTool } from './tool.ts'

export const search = defineTool({
  name: 'search',
  description: 'Finds lines in the files of the repository. Answers path:line: text.',
  input: Type.Object(
    {
      text: Type.String({ minLength: 1, maxLength: 500, pattern: '^[^\\n\\u0000]+$' }),
      regex: Type.Optional(Type.Boolean({ description: 'text is an extended regular expression; default false' })),
      ignoreCase: Type.Optional(Type.Boolean()),
      files: Type.Optional(
        Type.String({ minLength: 1, maxLength: 200, description: 'such as src or **/*.ts; all files when absent' }),
      ),
    },
    { additionalProperties: false },
  ),
  async run({ text, regex = false, ignoreCase = false, files = '' }, { workspace, signal }) {
    const query = [...(ignoreCase ? ['-i'] : []), regex ? '-E' : '-F', '-e', text]
    const lines = await bounded(signal, async (within) => {
      return await workspace.search(query, `:(top,glob)${treePath(files)}`, within)
    })
    if (lines.length === 0) return { text: 'nothing found' }
    const shown = lines.slice(0, LINES_MAX).map((line) => storable(line).slice(0, LINE_MAX))
    if (lines.length > LINES_MAX) shown.push(`… and ${lines.length - LINES_MAX} more lines; ask for something narrower`)
    return { text: shown.join('\n') }
  },
})

/** An expression may take for ever; the model is told, and can ask for something else. */
async function bounded<T>(signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const late = AbortSignal.timeout(SEARCH_MAX_MS)
  try {
    return await work(AbortSignal.any([signal, late]))
  } catch (error) {
    signal.throwIfAborted()
    if (late.aborted) throw new Refused(`the search took longer than ${SEARCH_MAX_MS} ms`)
    throw error
  }
}

const SEARCH_MAX_MS = 20_000
const LINES_MAX = 200
const LINE_MAX = 300
