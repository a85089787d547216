import { TerminalError } from '@hypercode/base-agent'
import type { TaskContext } from '@hypercode/base-agent'
import { ARTIFACT_MAX_BYTES } from '@hypercode/contracts'

/** Stores the patch that a task comes to, for `git apply`. */
export async function storePatch(ctx: TaskContext, patch: Buffer): Promise<void> {
  if (patch.byteLength > ARTIFACT_MAX_BYTES) {
    const sizes = `${patch.byteLength} bytes of at most ${ARTIFACT_MAX_BYTES}`
    throw new TerminalError('the patch is too large', sizes, { code: 'patch_too_large' })
  }
  await ctx.artifact('patch.diff', patch, 'text/x-diff')
}
