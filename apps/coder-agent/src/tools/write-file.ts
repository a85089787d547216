import { Type } from '@sinclair/typebox'
import { filePath } from '../workspace/tree-path.ts'
import { defineTool } from './tool.ts'

export const writeFile = defineTool({
  name: 'write_file',
  description: 'Creates a file or replaces its whole content. For a change in a large file use apply_patch.',
  input: Type.Object(
    {
      path: Type.String({ minLength: 1, maxLength: 1024, description: 'relative to the root of the repository' }),
      content: Type.String({ maxLength: 100_000 }),
    },
    { additionalProperties: false },
  ),
  async run({ path: asked, content }, { workspace, policy }) {
    const path = filePath(asked)
    const known = (await workspace.entry(path)) !== undefined
    const change = await workspace.write(path, Buffer.from(content), policy.judge('write_file'))
    return { text: change.diff === '' ? `${path} was so already` : `${known ? 'replaced' : 'created'} ${path}`, change }
  },
})
