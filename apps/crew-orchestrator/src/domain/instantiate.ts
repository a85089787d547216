import { newId } from '@hypercode/contracts'
import type { CrewPlan, PlannedTask } from '../manifest/compile.ts'
import type { Kept } from './again.ts'
import type { MissionFacts, TaskFacts } from './facts.ts'
import { openLedger, plan as addTask, tell } from './ledger.ts'
import type { Edge, Ledger } from './ledger.ts'
import { cancelWaiting, closeMissions, countDown, letGo, takeNews } from './propagate.ts'
import type { Dependent } from './propagate.ts'
import type { Outputs } from './release.ts'

export interface NewMission {
  tenantId: string
  input: unknown
  priority: number
  correlationId: string
  traceparent: string | null
  /** By key, what another mission has done of it. */
  kept?: ReadonlyMap<string, Kept>
}

/**
 * Plans a mission: its tasks, what waits for what, and the events of its birth, in a ledger of its own. What can be decided at once is:
 * roots are queued, skipped or fanned out, and a mission in which nothing is left to do ends here.
 */
export function instantiate(crew: CrewPlan, order: NewMission): { mission: MissionFacts; ledger: Ledger } {
  const ledger: Ledger = { ...openLedger(), ...(order.kept === undefined ? {} : { kept: order.kept }) }
  const mission: MissionFacts = {
    id: newId(),
    tenantId: order.tenantId,
    crew: crew.crew,
    state: 'submitted',
    input: order.input,
    output: null,
    error: null,
    openTasks: 0,
    totalTasks: 0,
    queuedTasks: 0,
    filledChars: 0,
    outputChars: 0,
    onTaskFailure: crew.onTaskFailure,
    canceling: false,
    compensating: false,
    eventSeq: 0,
    correlationId: order.correlationId,
    traceparent: order.traceparent,
  }
  ledger.missions.set(mission.id, mission)
  tell(ledger, mission, 'mission.submitted', null, { crew: crew.crew })
  addPlanned(ledger, mission, crew.tasks, order.priority, null)
  if (mission.openTasks === 0) closeAtBirth(ledger, mission)
  return { mission, ledger }
}

/** Adds tasks, and decides about them what can be decided at once. `parentId` is the task that planned them. Answers them. */
export function addPlanned(
  ledger: Ledger,
  mission: MissionFacts,
  plan: readonly PlannedTask[],
  priority: number,
  parentId: string | null,
): TaskFacts[] {
  const byKey = new Map<string, TaskFacts>()
  for (const planned of plan) {
    const { dependsOn, ...rest } = planned
    const task: TaskFacts = {
      ...rest,
      id: newId(),
      tenantId: mission.tenantId,
      missionId: mission.id,
      priority: clampPriority(planned.priority + priority),
      state: 'blocked',
      reason: null,
      blockedBy: dependsOn.length,
      turn: 0,
      held: false,
      parentId,
      attempt: 0,
      maxAttempts: planned.retry.maxAttempts,
      output: null,
      error: null,
      delayMs: 0,
    }
    byKey.set(task.key, task)
    addTask(
      ledger,
      task,
      dependsOn.map((key) => (byKey.get(key) as TaskFacts).id),
    )
  }
  for (const task of byKey.values()) if (task.blockedBy === 0) letGo(ledger, task, {}, [])
  spread(ledger)
  return [...byKey.values()]
}

/** The same rounds as after a completion, but everything is at hand. */
function spread(ledger: Ledger): void {
  const planned = [...ledger.added]
  const byId = new Map(planned.map((task) => [task.id, task]))
  const byKey = new Map(planned.map((task) => [task.key, task]))
  const waiting: Waiting = { byParent: new Map(), edges: 0 }
  while (ledger.news.length > 0) {
    for (const task of countDown(ledger, dependentsOf(ledger, takeNews(ledger), waiting, byId)))
      letGo(ledger, task, outputsFor(task, byKey), elementsOf(ledger, task))
    for (const id of ledger.failing) {
      ledger.failing.delete(id)
      cancelWaiting(ledger, [...ledger.added])
    }
  }
}

function closeAtBirth(ledger: Ledger, mission: MissionFacts): void {
  const leaves = [...ledger.added]
    .filter((task) => task.leaf && task.state === 'completed')
    .map((task) => [task.key, task.output ?? null] as const)
  closeMissions(ledger, new Map([[mission.id, Object.fromEntries(leaves)]]))
}

/** Elements that end while a mission is planned were kept. */
const elementsOf = (ledger: Ledger, task: TaskFacts): TaskFacts[] =>
  task.state === 'waiting' ? [...ledger.added].filter((element) => element.parentId === task.id) : []

/** Ids of the tasks that wait, by what they wait for; made of the first `edges` edges, since a forEach adds some on the way. */
interface Waiting {
  readonly byParent: Map<string, string[]>
  edges: number
}

function dependentsOf(
  ledger: Ledger,
  ended: readonly TaskFacts[],
  waiting: Waiting,
  byId: ReadonlyMap<string, TaskFacts>,
): Dependent[] {
  for (; waiting.edges < ledger.edges.length; waiting.edges += 1) {
    const { taskId, dependsOn } = ledger.edges[waiting.edges] as Edge
    const known = waiting.byParent.get(dependsOn)
    if (known === undefined) waiting.byParent.set(dependsOn, [taskId])
    else known.push(taskId)
  }
  const dependents = new Map<string, TaskFacts[]>()
  for (const parent of ended) {
    for (const id of waiting.byParent.get(parent.id) ?? []) {
      const parents = dependents.get(id)
      if (parents === undefined) dependents.set(id, [parent])
      else parents.push(parent)
    }
  }
  return [...dependents].map(([id, parents]) => ({ task: byId.get(id) as TaskFacts, ended: parents }))
}

const outputsFor = (task: TaskFacts, byKey: ReadonlyMap<string, TaskFacts>): Outputs =>
  Object.fromEntries(
    (task.template?.reads ?? []).flatMap((key) => {
      const read = byKey.get(key)
      return read === undefined ? [] : [[key, { output: read.output ?? null, state: read.state }]]
    }),
  )

const clampPriority = (priority: number): number => Math.max(-100, Math.min(100, priority))
