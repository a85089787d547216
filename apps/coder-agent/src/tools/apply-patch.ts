import { Type } from '@sinclair/typebox'
import { defineTool } from './tool.ts'

export const applyPatch = defineTool({
  name: 'apply_patch',
  description:
    'Applies a unified diff (--- a/path, +++ b/path, @@ hunks with three lines of context; /dev/null for files that begin or ' +
    'end). All of it is applied or nothing.',
  input: Type.Object({ patch: Type.String({ minLength: 1, maxLength: 100_000 }) }, { additionalProperties: false }),
  async run({ patch }, { workspace, policy }) {
    // Models count lines badly; what comes out is made into a patch of its own.
    const change = await workspace.patch(patch, policy.judge('apply_patch'), { recount: true })
    return { text: change.diff === '' ? 'the patch changes nothing' : 'the patch is applied', change }
  },
})
