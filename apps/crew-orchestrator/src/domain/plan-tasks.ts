/**
 * A manager plans tasks into its mission while it runs, and waits for them without a slot, as for anything else: the attempt that plans
 * ends, uncounted, and the next one finds how they have ended.
 */
import type { PlannedResult } from '@hypercode/contracts'
import type { PlannedTask } from '../manifest/compile.ts'
import type { TaskFacts } from './facts.ts'
import { addPlanned } from './instantiate.ts'
import { missionOf, move } from './ledger.ts'
import type { Ledger } from './ledger.ts'
import { MISSION_TASKS_MAX } from './release.ts'
import { isBeingCanceled, isTerminal } from './states.ts'
import { WAITS_MAX, endWait } from './waits.ts'

export interface Plan {
  /** Of the wait in which the results are told. */
  name: string
  tasks: readonly PlannedTask[]
  /** Keys among them whose tasks are of the manager too. */
  ofManager: ReadonlySet<string>
}

/** What is known of the mission when a plan is to be carried out. */
export interface KnownPlans {
  waits: number
  repeated: boolean
  /** Those of its keys that other tasks of the mission have. */
  taken: readonly string[]
}

/** Why these tasks may not be planned; undefined when they may. */
export function planFault(ledger: Ledger, manager: TaskFacts, plan: Plan, known: KnownPlans): string | undefined {
  if (manager.policy?.plans === undefined)
    return 'the task is none of the manager of a hierarchical crew, or plans too deep'
  if (known.repeated) return `the task has waited under the name ${plan.name} before`
  if (known.waits >= WAITS_MAX) return `a task waits at most ${WAITS_MAX} times`
  if (known.taken.length > 0) return `the mission has a task ${known.taken[0]} already`
  const { totalTasks } = missionOf(ledger, manager)
  if (totalTasks + plan.tasks.length > MISSION_TASKS_MAX) return `the mission has more than ${MISSION_TASKS_MAX} tasks`
  return undefined
}

/** Adds the tasks and lets the manager wait for them. One that fails fails nothing else: the manager is told. Answers the tasks. */
export function carryOut(ledger: Ledger, manager: TaskFacts, plan: Plan): TaskFacts[] {
  const { id: taskId, tenantId, missionId, attempt } = manager
  const depth = (manager.policy?.plans ?? 0) - 1
  const tasks = plan.tasks.map((task) => ({
    ...task,
    leaf: false,
    policy: {
      ...task.policy,
      tolerated: true as const,
      plan: plan.name,
      ...(depth > 0 && plan.ofManager.has(task.key) ? { plans: depth } : {}),
    },
  }))
  const added = addPlanned(ledger, missionOf(ledger, manager), tasks, manager.priority, taskId)
  const open = added.filter((task) => !isTerminal(task.state))
  ledger.endedAttempts.push({ taskId, attempt, outcome: 'waiting', error: null, outputHash: null })
  // To plan is not to fail: the attempt that it cost is given back.
  manager.maxAttempts += 1
  ledger.waits.push({
    taskId,
    tenantId,
    missionId,
    name: plan.name,
    kind: 'tasks',
    signal: null,
    delayMs: null,
    over: false,
  })
  for (const { id } of open) ledger.edges.push({ tenantId, taskId, dependsOn: id })
  move(ledger, manager, 'waiting', { reason: `${open.length} planned tasks (${plan.name})` })
  manager.blockedBy = open.length
  if (open.length === 0) endPlan(ledger, manager, plan.name, added.map(resultOf))
  return added
}

/** All tasks of a plan have ended: the manager is told how. */
export function endPlan(ledger: Ledger, manager: TaskFacts, name: string, results: readonly PlannedResult[]): void {
  if (isBeingCanceled(missionOf(ledger, manager)))
    move(ledger, manager, 'canceled', { reason: 'the mission is being canceled' })
  else endWait(ledger, manager, name, { timedOut: false, payload: { planned: results } })
}

/** Whether the task waits for tasks that it has planned, and not for elements. */
export const isPlanning = ({ state, policy, template }: TaskFacts): boolean =>
  state === 'waiting' && policy?.plans !== undefined && template?.forEach === undefined

export const resultOf = ({
  key,
  state,
  output,
  error,
}: Pick<TaskFacts, 'key' | 'state' | 'output' | 'error'>): PlannedResult => ({
  key,
  state,
  output: state === 'completed' ? (output ?? null) : null,
  ...(error === null ? {} : { error }),
})
