import { TerminalError } from '@hypercode/base-agent'
import type { TaskContext } from '@hypercode/base-agent'
import type { BaseRepository } from '../workspace/base-repository.ts'
import { takeSnapshot } from '../workspace/take-snapshot.ts'
import type { Snapshot, SnapshotLimits } from '../workspace/take-snapshot.ts'
import { Workspace } from '../workspace/workspace.ts'

/**
 * Lets `work` happen in a workspace of its own, which ends with it. The snapshot is the first step of the task: an attempt that
 * goes on later works on the same files, or says that it cannot.
 */
export async function withWorkspace<T>(
  ctx: TaskContext,
  base: BaseRepository,
  root: string,
  limits: SnapshotLimits,
  work: (workspace: Workspace, snapshot: Snapshot) => Promise<T>,
): Promise<T> {
  const take = async (): Promise<Snapshot> => {
    const taken = await takeSnapshot(base, root, limits, ctx.signal)
    await base.keep(ctx.taskId, taken.tree)
    return taken
  }
  await base.tidy()
  const snapshot: Snapshot = await ctx.step('snapshot', take)
  // Another machine, or a week later: the files are taken once more, and have to be the same.
  if (!(await base.keeps(ctx.taskId, snapshot.tree)) && (await take()).tree !== snapshot.tree) {
    throw new TerminalError('the repository has changed since this task began', undefined, { code: 'snapshot_changed' })
  }
  const workspace = await Workspace.open(base, ctx.taskId, snapshot.tree)
  try {
    return await work(workspace, snapshot)
  } finally {
    await workspace.close()
  }
}
