import type { TaskContext } from '@hypercode/base-agent'
import { TerminalError } from '@hypercode/base-agent'
import type { CoderOptions } from '../coder-options.ts'
import type { MergeInput, MergeOutput } from '../schemas.ts'
import type { BaseRepository } from '../workspace/base-repository.ts'
import { Refused } from '../workspace/refused.ts'
import { storePatch } from './store-patch.ts'
import { withWorkspace } from './with-workspace.ts'

/**
 * `code.merge`: the approved patches of other tasks of the mission, one after the other, as one patch. One that no longer applies after
 * those before it is left out and named. It asks no model.
 */
export async function merge(
  ctx: TaskContext,
  options: CoderOptions,
  base: BaseRepository,
  { root, patches, reviews }: MergeInput,
): Promise<MergeOutput> {
  return await withWorkspace(ctx, base, root, options.snapshot, async (workspace) => {
    const applied: string[] = []
    const skipped: { task: string; reason: string }[] = []
    for (const [index, review] of reviews.entries()) {
      const task = `${patches}[${index}]`
      const reason = review?.approved === true ? await fault(task) : 'not approved'
      if (reason === undefined) applied.push(task)
      else skipped.push({ task, reason })
    }
    await storePatch(ctx, await workspace.fullDiff())
    return { applied, skipped, changed: workspace.changed }

    async function fault(task: string): Promise<string | undefined> {
      const { bytes } = await ctx.readArtifact(task, 'patch.diff')
      try {
        await workspace.patch(bytes, () => undefined)
        return undefined
      } catch (error) {
        if (error instanceof Refused || error instanceof TerminalError) return error.message
        throw error
      }
    }
  })
}
