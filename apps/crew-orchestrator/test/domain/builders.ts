import { newId } from '@hypercode/contracts'
import type { MissionFacts, TaskFacts } from '../../src/domain/facts.ts'
import { openLedger, plan } from '../../src/domain/ledger.ts'
import type { Ledger } from '../../src/domain/ledger.ts'
import { DEFAULT_RETRY } from '../../src/domain/retry.ts'
import type { CrewPlan, PlannedTask } from '../../src/manifest/compile.ts'

export const NO_TIMEOUTS = { queueMs: null, attemptMs: null, heartbeatMs: null, totalMs: null }

export const aMission = (changes: Partial<MissionFacts> = {}): MissionFacts => ({
  id: newId(),
  tenantId: newId(),
  crew: 'crew',
  state: 'submitted',
  input: null,
  output: null,
  error: null,
  openTasks: 0,
  totalTasks: 0,
  queuedTasks: 0,
  filledChars: 0,
  outputChars: 0,
  onTaskFailure: 'fail',
  canceling: false,
  compensating: false,
  eventSeq: 0,
  correlationId: 'correlation',
  traceparent: null,
  ...changes,
})

export const aTask = (mission: MissionFacts, changes: Partial<TaskFacts> = {}): TaskFacts => ({
  id: newId(),
  tenantId: mission.tenantId,
  missionId: mission.id,
  key: 'task',
  leaf: true,
  queue: 'work',
  requires: [],
  priority: 0,
  state: 'blocked',
  reason: null,
  blockedBy: 0,
  template: null,
  policy: null,
  concurrency: null,
  turn: 0,
  held: false,
  parentId: null,
  attempt: 0,
  maxAttempts: 3,
  retry: DEFAULT_RETRY,
  timeouts: NO_TIMEOUTS,
  input: null,
  output: null,
  error: null,
  delayMs: 0,
  ...changes,
})

/** A ledger with one mission and these tasks in it, as if they had just been loaded. */
export function ledgerWith(mission: MissionFacts, tasks: readonly TaskFacts[] = []): Ledger {
  const ledger = openLedger()
  ledger.missions.set(mission.id, mission)
  for (const task of tasks) plan(ledger, task)
  for (const task of tasks) ledger.tasks.set(task.id, task)
  ledger.added.clear()
  return ledger
}

export const plannedTask = (key: string, changes: Partial<PlannedTask> = {}): PlannedTask => ({
  key,
  queue: 'work',
  requires: [],
  priority: 0,
  dependsOn: [],
  leaf: true,
  retry: DEFAULT_RETRY,
  timeouts: NO_TIMEOUTS,
  input: null,
  template: null,
  policy: null,
  concurrency: null,
  ...changes,
})

export const aPlan = (tasks: readonly PlannedTask[], changes: Partial<CrewPlan> = {}): CrewPlan => ({
  crew: 'crew',
  tasks,
  onTaskFailure: 'fail',
  deadlineMs: null,
  budget: null,
  blueprints: [],
  chars: 0,
  ...changes,
})
