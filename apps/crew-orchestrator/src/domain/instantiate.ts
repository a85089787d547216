import { newId } from '@hypercode/contracts'
import type { CrewPlan } from '../manifest/compile.ts'
import type { MissionFacts, TaskFacts } from './facts.ts'
import { openLedger, plan as addTask, tell } from './ledger.ts'
import type { Ledger } from './ledger.ts'
import { cancelWaiting, closeMissions, countDown, letGo, takeNews } from './propagate.ts'

export interface NewMission {
  tenantId: string
  input: unknown
  priority: number
  correlationId: string
}

/**
 * Plans a mission: its tasks, what waits for what, and the events of its birth, in a ledger of its own. What can be decided at once is:
 * roots are queued, skipped or fanned out, and a mission in which nothing is left to do ends here.
 */
export function instantiate(crew: CrewPlan, order: NewMission): { mission: MissionFacts; ledger: Ledger } {
  const ledger = openLedger()
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
    onTaskFailure: crew.onTaskFailure,
    canceling: false,
    eventSeq: 0,
    correlationId: order.correlationId,
  }
  ledger.missions.set(mission.id, mission)
  tell(ledger, mission, 'mission.submitted', null, { crew: crew.crew })
  const byKey = new Map<string, TaskFacts>()
  for (const planned of crew.tasks) {
    const { dependsOn, ...rest } = planned
    const task: TaskFacts = {
      ...rest,
      id: newId(),
      tenantId: order.tenantId,
      missionId: mission.id,
      priority: clampPriority(planned.priority + order.priority),
      state: 'blocked',
      reason: null,
      blockedBy: dependsOn.length,
      parentId: null,
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
  for (const task of [...ledger.added]) if (task.blockedBy === 0) letGo(ledger, task, {}, [])
  spread(ledger)
  return { mission, ledger }
}

/** The same rounds as after a completion, but everything is at hand. */
function spread(ledger: Ledger): void {
  while (ledger.news.length > 0) {
    const news = new Map(takeNews(ledger).map((task) => [task.id, task]))
    const tasks = [...ledger.added]
    const outputs = Object.fromEntries(
      tasks.map((task) => [task.key, { output: task.output ?? null, state: task.state }]),
    )
    const dependents = tasks.flatMap((task) => {
      const ended = ledger.edges
        .filter((edge) => edge.taskId === task.id)
        .flatMap((edge) => news.get(edge.dependsOn) ?? [])
      return ended.length > 0 ? [{ task, ended }] : []
    })
    for (const task of countDown(ledger, dependents)) letGo(ledger, task, outputs, [])
    for (const id of ledger.failing) {
      ledger.failing.delete(id)
      cancelWaiting(ledger, [...ledger.added])
    }
  }
  const [mission] = ledger.missions.values()
  if (mission?.openTasks === 0) {
    const leaves = [...ledger.added]
      .filter((task) => task.leaf && task.state === 'completed')
      .map((task) => [task.key, task.output ?? null] as const)
    closeMissions(ledger, new Map([[mission.id, Object.fromEntries(leaves)]]))
  }
}

const clampPriority = (priority: number): number => Math.max(-100, Math.min(100, priority))
