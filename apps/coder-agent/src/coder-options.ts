import type { Sandbox } from '@hypercode/sandbox'
import type { Limits } from './model/budget.ts'
import type { ModelSettings } from './model/model-settings.ts'
import type { SnapshotLimits } from './workspace/take-snapshot.ts'

/** What a coder is made of. */
export interface CoderOptions {
  /** Tasks are rejected without it. */
  readonly model: ModelSettings | undefined
  /** Commands are refused without it. */
  readonly sandbox: Sandbox | undefined
  /** Where snapshots and worktrees are; an absolute path. */
  readonly workDir: string
  /** Where git is found, as in PATH. */
  readonly path: string
  /** What a task may spend at most, whatever it asks for. */
  readonly limits: Limits
  readonly commandMaxMs: number
  readonly snapshot: SnapshotLimits
}
