import type { Explanation, Gate, TaskError, TaskState, Verification } from '@hypercode/contracts'
import type { MissionAround } from './around.ts'
import type { BudgetFacts } from './budget.ts'
import { GATES_IN_ORDER } from './explain-gates.ts'
import { isTerminal } from './states.ts'

/** What one look into the database says about a task and everything that it may wait for. */
export interface ExplainFacts {
  at: Date
  id: string
  missionId: string
  key: string
  state: TaskState
  reason: string | null
  queue: string
  requires: readonly string[]
  attempt: number
  createdAt: Date
  /** When it may be claimed, or became so. */
  availableAt: Date | null
  mission: { cancelRequestedAt: Date | null; isCompensating: boolean; isPaused: boolean; pausedBy: PausedBy | null }
  budget: BudgetFacts | null
  /** Missions around its own, the nearest first. */
  around: readonly MissionAround[]
  /** Of what it waits for, as many as are named, and how many there are. */
  blockers: readonly Holder[]
  blockedBy: number
  /** The mission that does its work, while it has not ended. */
  child: { id: string; name: string; isPaused: boolean } | null
  wait: {
    name: string
    kind: 'timer' | 'signal' | 'approval'
    signal: string | null
    since: Date
    fireAt: Date | null
  } | null
  approval: { id: string; title: string; since: Date; deadlineAt: Date | null } | null
  verification: Verifying | null
  control: { pausedAt: Date | null; maxExecuting: number | null; executing: number }
  concurrency: { key: string; limit: number; executing: number; by: readonly Holder[] } | null
  letter: { id: string; createdAt: Date; error: TaskError } | null
  lease: Lease | null
  agents: Agents
}

/** The task whose failure has paused the mission, and what is told of it. */
export interface PausedBy {
  taskId: string
  reason: string
}

export type Holder = NonNullable<Gate['holders']>[number]

/** The open round of a task that is verifying. */
interface Verifying {
  kind: Verification['kind']
  round: number
  since: Date
  /** The task that verifies; people do when there is none. */
  reviewer: { id: string; name: string; state: TaskState } | null
}

interface Lease {
  instanceId: string
  startedAt: Date
  expiresAt: Date
  attemptDeadlineAt: Date | null
}

/** Instances of the tenant that are not gone, by how much of what the task needs they have. */
export interface Agents {
  /** Its skills, in whatever pool and of whatever blueprint. */
  skilled: number
  pooled: number
  fitting: number
  /** Fitting, ready and beating. */
  alive: number
  /** Alive with a free slot: one of them can claim it now. */
  free: number
  /** What the alive ones do instead, and when the first of that must end. */
  busyWith: readonly Holder[]
  busyUntil: Date | null
}

/** Every gate that a task has to pass, from the facts of one instant. It is claimable when each of them is open. */
export function explain(facts: ExplainFacts): Explanation {
  const gates = isTerminal(facts.state) ? [] : GATES_IN_ORDER.flatMap((gate) => gate(facts) ?? [])
  const shut = gates.find(({ status }) => status !== 'pass')
  return {
    taskId: facts.id,
    missionId: facts.missionId,
    key: facts.key,
    state: facts.state,
    verdict: verdictOf(facts.state, shut),
    summary: summaryOf(facts, shut),
    gates,
    at: facts.at.toISOString(),
  }
}

function verdictOf(state: TaskState, shut: Gate | undefined): Explanation['verdict'] {
  if (isTerminal(state)) return 'ended'
  if (state === 'executing') return 'running'
  return shut === undefined && state === 'queued' ? 'claimable' : 'waiting'
}

function summaryOf({ state, reason, attempt }: ExplainFacts, shut: Gate | undefined): string {
  if (isTerminal(state)) return reason === null ? `it is ${state}` : `it is ${state}: ${reason}`
  if (state === 'executing') return `attempt ${attempt} is running`
  return shut?.detail ?? 'nothing holds it: the next claim of a fitting agent gets it when its turn has come'
}
