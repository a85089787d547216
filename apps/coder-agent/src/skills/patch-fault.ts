import { Refused } from '../workspace/refused.ts'
import type { Workspace } from '../workspace/workspace.ts'

/** Applies a patch, and says why that cannot be done, or nothing. */
export async function patchFault(workspace: Workspace, patch: Buffer): Promise<string | undefined> {
  if (patch.toString('latin1').trim() === '') return 'the patch is empty'
  try {
    await workspace.patch(patch, ({ path, kind }) => (kind === 'link' ? `${path} is made a link` : undefined))
    return undefined
  } catch (error) {
    if (error instanceof Refused) return error.message
    throw error
  }
}
