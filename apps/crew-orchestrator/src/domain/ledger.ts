/**
 * What one transaction changes. The decisions write into a ledger and touch neither database nor clock; `store/save-ledger` makes one
 * statement of it.
 *
 * G1 A task moves only along TASK_MOVES, and every move is one event of its mission.
 * G2 `openTasks` of a mission is the number of its tasks that are not terminal, after every move.
 * G3 Events of a mission are numbered 1..n without a gap, in the order in which they were decided.
 */
import type { MissionEventName, TaskError, TaskState, Wait } from '@hypercode/contracts'
import { invariant } from './errors.ts'
import type { MissionFacts, TaskFacts } from './facts.ts'
import type { Kept } from './again.ts'
import type { ApprovalDraft } from './approvals.ts'
import { assertTaskMove, isTerminal } from './states.ts'
import type { EndedRound, RoundDraft } from './verify-terms.ts'

export interface EventDraft {
  missionId: string
  seq: number
  type: MissionEventName
  taskId: string | null
  body: Record<string, unknown>
}

export interface EndedAttempt {
  taskId: string
  attempt: number
  outcome: string
  error: TaskError | null
  /** SHA-256 of the reported output, in hex; what a repeated report is compared with. */
  outputHash: string | null
}

export interface DeadLetterDraft {
  taskId: string
  missionId: string
  tenantId: string
  key: string
  error: TaskError
}

/** A wait that begins in this transaction, and may end in it. */
export interface WaitDraft {
  taskId: string
  tenantId: string
  missionId: string
  name: string
  kind: Wait['kind'] | 'tasks'
  signal: string | null
  /** When its time has come, from now; null for never. */
  delayMs: number | null
  over: boolean
}

/** A step that the platform itself journals. */
export interface StepDraft {
  taskId: string
  tenantId: string
  attempt: number
  name: string
  response: unknown
}

export interface Edge {
  tenantId: string
  taskId: string
  dependsOn: string
}

export interface Ledger {
  readonly missions: Map<string, MissionFacts>
  /** Tasks that exist already and are locked. */
  readonly tasks: Map<string, TaskFacts>
  readonly changed: Set<TaskFacts>
  readonly added: Set<TaskFacts>
  /** By key, what another mission has done of the one that is planned here. */
  readonly kept: ReadonlyMap<string, Kept>
  readonly edges: Edge[]
  readonly events: EventDraft[]
  readonly endedAttempts: EndedAttempt[]
  readonly deadLetters: DeadLetterDraft[]
  readonly waits: WaitDraft[]
  readonly endedWaits: { taskId: string; name: string }[]
  readonly takenSignals: { id: string; taskId: string }[]
  readonly steps: StepDraft[]
  readonly approvals: ApprovalDraft[]
  readonly closedApprovals: { id: string; taskId: string; state: 'approved' | 'rejected' | 'expired' }[]
  readonly escalatedApprovals: string[]
  /** Tasks that do not wait for people any more. */
  readonly unasked: Set<string>
  readonly rounds: RoundDraft[]
  readonly endedRounds: EndedRound[]
  /** Tasks that are not verified any more, whatever came of it. */
  readonly unverified: Set<string>
  /** Those of them whose verifiers were called back. */
  readonly recalled: Set<string>
  /** Tasks that became terminal and whose dependents have not heard of it. */
  news: TaskFacts[]
  /** Missions that a failing task has paused. */
  readonly pausing: Set<string>
  /** Tasks that wait on beyond their total time, and have it again. */
  readonly prolonged: string[]
  /** Missions in which a failure must end everything that still waits. */
  readonly failing: Set<string>
}

export const openLedger = (): Ledger => ({
  missions: new Map(),
  tasks: new Map(),
  changed: new Set(),
  added: new Set(),
  kept: new Map(),
  edges: [],
  events: [],
  endedAttempts: [],
  deadLetters: [],
  waits: [],
  endedWaits: [],
  takenSignals: [],
  steps: [],
  approvals: [],
  closedApprovals: [],
  escalatedApprovals: [],
  unasked: new Set(),
  rounds: [],
  endedRounds: [],
  unverified: new Set(),
  recalled: new Set(),
  news: [],
  pausing: new Set(),
  prolonged: [],
  failing: new Set(),
})

export function missionOf(ledger: Ledger, task: TaskFacts): MissionFacts {
  const mission = ledger.missions.get(task.missionId)
  invariant(mission !== undefined, `mission ${task.missionId} is not in the ledger`)
  return mission
}

export function tell(
  ledger: Ledger,
  mission: MissionFacts,
  type: MissionEventName,
  taskId: string | null,
  body: Record<string, unknown> = {},
): void {
  mission.eventSeq += 1
  ledger.events.push({ missionId: mission.id, seq: mission.eventSeq, type, taskId, body })
}

const EVENT_OF: Partial<Record<TaskState, MissionEventName>> = {
  queued: 'task.queued',
  scheduled: 'task.retry.scheduled',
  waiting: 'task.waiting',
  input_required: 'task.input_required',
  verifying: 'task.verifying',
  paused: 'task.paused',
  completed: 'task.completed',
  failed: 'task.failed',
  rejected: 'task.rejected',
  canceled: 'task.canceled',
  skipped: 'task.skipped',
}

const WAITING: ReadonlySet<TaskState> = new Set(['waiting', 'input_required', 'verifying'])

/** The one way to change the state of a task. */
export function move(
  ledger: Ledger,
  task: TaskFacts,
  to: TaskState,
  change: { reason?: string | null; delayMs?: number | null; error?: TaskError; output?: unknown } = {},
): void {
  assertTaskMove(task.state, to)
  const type = EVENT_OF[to]
  invariant(type !== undefined, `a task does not move to ${to} here`)
  const mission = missionOf(ledger, task)
  if (task.state === 'input_required') ledger.unasked.add(task.id)
  if (task.state === 'verifying') {
    ledger.unverified.add(task.id)
    if (task.policy?.verify?.kind === 'human') ledger.unasked.add(task.id)
    task.output = null
  }
  task.state = to
  task.reason = change.reason ?? null
  // What waits has no instant of its own unless it is given one.
  task.delayMs = change.delayMs ?? (WAITING.has(to) ? null : 0)
  task.held = to === 'queued' && mission.state === 'paused'
  if (to === 'queued') {
    task.turn = mission.queuedTasks
    mission.queuedTasks += 1
  }
  if (change.error !== undefined) task.error = change.error
  if (to === 'completed') task.error = null
  if (to === 'completed' || to === 'verifying') task.output = change.output ?? null
  touch(ledger, task)
  tell(ledger, mission, type, task.id, bodyOf(task, change))
  if (!isTerminal(to)) return
  mission.openTasks -= 1
  invariant(mission.openTasks >= 0, 'G2')
  ledger.news.push(task)
}

/** The tasks that it stores or changes. */
export const tasksOf = (ledger: Ledger): TaskFacts[] => [...ledger.added, ...ledger.changed]

/** Has what changed of a task saved; one that is planned just now is saved as it is in the end. */
export function touch(ledger: Ledger, task: TaskFacts): void {
  if (!ledger.added.has(task)) ledger.changed.add(task)
}

function bodyOf(
  task: TaskFacts,
  change: { reason?: string | null; delayMs?: number | null; error?: TaskError },
): Record<string, unknown> {
  return {
    key: task.key,
    ...(task.attempt > 0 ? { attempt: task.attempt } : {}),
    ...(change.reason !== undefined && change.reason !== null ? { reason: change.reason } : {}),
    ...(typeof change.delayMs === 'number' && change.delayMs > 0 ? { delayMs: change.delayMs } : {}),
    ...(change.error !== undefined ? { error: change.error } : {}),
  }
}

/** Adds a task that is planned into its mission now. */
export function plan(ledger: Ledger, task: TaskFacts, dependsOn: readonly string[] = []): void {
  const mission = missionOf(ledger, task)
  mission.openTasks += 1
  mission.totalTasks += 1
  ledger.added.add(task)
  for (const parent of dependsOn) ledger.edges.push({ tenantId: task.tenantId, taskId: task.id, dependsOn: parent })
}
