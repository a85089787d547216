/**
 * What the end of a task means for the rest of its mission. The caller loads what a step asks for and calls again until there is no
 * news; nothing here reads a database.
 */
import type { TaskFacts } from './facts.ts'
import { missionOf, move, tell } from './ledger.ts'
import type { Ledger } from './ledger.ts'
import { release } from './release.ts'
import type { Outputs } from './release.ts'
import { assertMissionMove, isDone, isTerminal } from './states.ts'

/** A task that waits for others, with those of its dependencies that have just ended. */
export interface Dependent {
  task: TaskFacts
  ended: readonly TaskFacts[]
}

/** Takes the news; a failure under policy `fail` marks its mission as failing. */
export function takeNews(ledger: Ledger): TaskFacts[] {
  const news = ledger.news
  ledger.news = []
  for (const task of news) {
    const mission = missionOf(ledger, task)
    if (task.state !== 'failed' && task.state !== 'rejected') continue
    mission.error ??= {
      code: task.error?.code ?? task.state,
      message: `task ${task.key}: ${task.error?.message ?? task.state}`.slice(0, 8000),
      taskId: task.id,
    }
    if (mission.onTaskFailure === 'fail') {
      mission.canceling = true
      ledger.failing.add(mission.id)
    }
  }
  return news
}

/** Counts the ended dependencies down, and answers the tasks that nothing blocks any more. */
export function countDown(ledger: Ledger, dependents: readonly Dependent[]): TaskFacts[] {
  const free: TaskFacts[] = []
  for (const { task, ended } of dependents) {
    if (isTerminal(task.state)) continue
    task.blockedBy -= ended.length
    ledger.changed.add(task)
    const broken = ended.find((parent) => !isDone(parent.state))
    if (broken !== undefined && task.state === 'blocked')
      move(ledger, task, missionOf(ledger, task).canceling ? 'canceled' : 'skipped', {
        reason: `${broken.key} ended ${broken.state}`,
      })
    else if (task.blockedBy === 0) free.push(task)
  }
  return free
}

/** Lets a freed task go on. For a forEach task, `elements` are its element tasks in order. */
export function letGo(
  ledger: Ledger,
  task: TaskFacts,
  outputs: Outputs,
  elements: readonly Pick<TaskFacts, 'key' | 'state' | 'output'>[],
): void {
  if (task.state === 'blocked') {
    if (missionOf(ledger, task).canceling) move(ledger, task, 'canceled', { reason: 'the mission is being canceled' })
    else release(ledger, task, outputs)
    return
  }
  const broken = elements.find((element) => !isDone(element.state))
  if (broken === undefined)
    move(ledger, task, 'completed', { output: elements.map((element) => element.output ?? null) })
  else if (broken.state === 'canceled') move(ledger, task, 'canceled', { reason: `${broken.key} was canceled` })
  else
    move(ledger, task, 'failed', { error: { code: 'element_failed', message: `${broken.key} ended ${broken.state}` } })
}

/** Ends what waits in a mission that is failing or being canceled. Executing tasks are told by their agent's next beat. */
export function cancelWaiting(ledger: Ledger, waiting: readonly TaskFacts[]): void {
  for (const task of waiting) {
    if (!isTerminal(task.state) && task.state !== 'executing')
      move(ledger, task, 'canceled', { reason: 'the mission is being canceled' })
  }
}

/** The missions that just lost their last open task reach their final state. `outputs` are those of their leaf tasks. */
export function closeMissions(ledger: Ledger, outputs: ReadonlyMap<string, Record<string, unknown>>): void {
  for (const mission of ledger.missions.values()) {
    if (mission.openTasks > 0) continue
    const state = mission.error !== null ? 'failed' : mission.canceling ? 'canceled' : 'completed'
    assertMissionMove(mission.state, state)
    mission.state = state
    mission.output = outputs.get(mission.id) ?? {}
    tell(ledger, mission, `mission.${state}`, null, mission.error === null ? {} : { error: mission.error })
  }
}
