/**
 * What the end of a task means for the rest of its mission. The caller loads what a step asks for and calls again until there is no
 * news; nothing here reads a database.
 */
import { isCompensation, noteCompensation } from './compensate.ts'
import type { MissionFacts, TaskFacts } from './facts.ts'
import { missionOf, move, tell, touch } from './ledger.ts'
import type { Ledger } from './ledger.ts'
import { release } from './release.ts'
import type { Outputs } from './release.ts'
import { assertMissionMove, isBeingCanceled, isDone, isTerminal } from './states.ts'

/** Characters of an error's message. */
const MESSAGE_MAX = 8000

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
    if (isCompensation(task)) noteCompensation(ledger, task)
    if (!isFailure(task, mission)) continue
    mission.error ??= {
      code: task.error?.code ?? task.state,
      message: cut(`task ${task.key}: ${task.error?.message ?? task.reason ?? task.state}`),
      taskId: task.id,
    }
    // What a person could have helped was paused before it came to this.
    if (mission.onTaskFailure !== 'continue') {
      mission.canceling = true
      ledger.failing.add(mission.id)
    }
  }
  return news
}

/** A cancel that nobody asked for leaves the mission without a result just as a failure does. */
const isFailure = (task: TaskFacts, mission: MissionFacts): boolean =>
  task.policy?.tolerated !== true &&
  !isCompensation(task) &&
  (task.state === 'failed' || task.state === 'rejected' || (task.state === 'canceled' && !mission.canceling))

/** At most as long as the message of an error may be, and no character cut in half: Postgres stores no half of one. */
const cut = (message: string): string => message.slice(0, MESSAGE_MAX).toWellFormed()

/** Counts the ended dependencies down, and answers the tasks that nothing blocks any more. */
export function countDown(ledger: Ledger, dependents: readonly Dependent[]): TaskFacts[] {
  const free: TaskFacts[] = []
  for (const { task, ended } of dependents) {
    if (isTerminal(task.state)) continue
    task.blockedBy -= ended.length
    touch(ledger, task)
    const broken = isCompensation(task) ? undefined : ended.find((parent) => !letsOthersGo(parent))
    if (broken !== undefined && task.state === 'blocked') leaveOut(ledger, task, broken)
    else if (task.blockedBy === 0) free.push(task)
  }
  return free
}

/** Skipped by its own condition is as good as done; skipped because of a failure hands that on. */
const letsOthersGo = (parent: TaskFacts): boolean =>
  isDone(parent.state) && (parent.state !== 'skipped' || parent.error === null)

/** Ends a task that can never run because of `broken`. */
function leaveOut(ledger: Ledger, task: TaskFacts, broken: TaskFacts): void {
  const reason = `${broken.key} ended ${broken.state}`
  if (isBeingCanceled(missionOf(ledger, task))) move(ledger, task, 'canceled', { reason })
  else move(ledger, task, 'skipped', { reason, error: { code: 'dependency_failed', message: reason } })
}

/** Lets a freed task go on. For a forEach task, `elements` are its element tasks in order. */
export function letGo(
  ledger: Ledger,
  task: TaskFacts,
  outputs: Outputs,
  elements: readonly Pick<TaskFacts, 'key' | 'state' | 'output'>[],
): void {
  if (task.state === 'blocked') {
    if (isBeingCanceled(missionOf(ledger, task)))
      move(ledger, task, 'canceled', { reason: 'the mission is being canceled' })
    else release(ledger, task, outputs)
    return
  }
  const broken = elements.find((element) => !isDone(element.state))
  // What a cancel has ended did not fail.
  const tolerates = task.policy?.childFailure === 'continue' && !isBeingCanceled(missionOf(ledger, task))
  if (broken === undefined || tolerates) move(ledger, task, 'completed', { output: elements.map(outputOf) })
  else if (broken.state === 'canceled') move(ledger, task, 'canceled', { reason: `${broken.key} was canceled` })
  else
    move(ledger, task, 'failed', { error: { code: 'element_failed', message: `${broken.key} ended ${broken.state}` } })
}

const outputOf = ({ state, output }: Pick<TaskFacts, 'state' | 'output'>): unknown =>
  state === 'completed' ? (output ?? null) : null

/** Ends what waits in a mission that is failing or being canceled. Executing tasks are told by their agent's next beat. */
export function cancelWaiting(ledger: Ledger, waiting: readonly TaskFacts[]): void {
  for (const task of waiting) {
    if (!isTerminal(task.state) && task.state !== 'executing' && !isCompensation(task))
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
