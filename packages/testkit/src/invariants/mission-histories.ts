import type { TaskState } from '@hypercode/contracts'
import type { Db } from '@hypercode/db'
import { sql } from 'kysely'
import type { Broken } from './find-broken.ts'
import { LEGAL_TASK_MOVES, TASK_STATE_AFTER } from './moves.ts'

/** O1: nothing after an end. O2: every step is an edge of the table. O19: the events played again give the rows as they are. */
export async function findBrokenHistories(db: Db): Promise<Broken[]> {
  return await db
    .transaction()
    .setIsolationLevel('repeatable read')
    .execute(async (trx) => {
      const history = new Histories()
      const events = await sql<EventRow>`
        select mission_id, task_id, type from mission_events order by mission_id, seq`.execute(trx)
      for (const event of events.rows) history.play(event)
      const tasks = await sql<TaskNow>`select id, state, attempt from tasks`.execute(trx)
      for (const task of tasks.rows) history.compareTask(task)
      const missions = await sql<MissionNow>`
        select id, state, started_at is not null as started from missions`.execute(trx)
      for (const mission of missions.rows) history.compareMission(mission)
      return history.broken()
    })
}

interface EventRow {
  mission_id: string
  task_id: string | null
  type: string
}
interface TaskNow {
  id: string
  state: TaskState
  attempt: number
}
interface MissionNow {
  id: string
  state: string
  started: boolean
}

const ENDS = new Set(['mission.completed', 'mission.failed', 'mission.canceled'])
/** Events about a mission that leave it in the state in which it is. */
const NO_MOVES = new Set(['mission.cancel_requested', 'mission.signaled', 'mission.compensating'])

/** What a mission is told to be by events that do not name its state, from what it was told to be before. */
const MISSION_TOLD: Readonly<Record<string, (before: string, begun: boolean) => string>> = {
  // A claim that was on its way when the mission was paused begins it all the same.
  'mission.started': (before) => (before === 'mission.paused' ? before : 'mission.started'),
  'mission.resumed': (_, begun) => (begun ? 'mission.started' : 'mission.submitted'),
}

/** Plays the events of all missions, in order, and remembers what is wrong. */
class Histories {
  readonly #tasks = new Map<string, { state: TaskState; attempt: number }>()
  readonly #missions = new Map<string, string>()
  readonly #begun = new Set<string>()
  readonly #wrong = new Map<string, unknown[]>()

  play({ mission_id: missionId, task_id: taskId, type }: EventRow): void {
    const before = this.#missions.get(missionId) ?? ''
    if (ENDS.has(before)) this.#report('O1 an event after the end of its mission', { missionId, type, before })
    if (type === 'mission.started') this.#begun.add(missionId)
    if (type.startsWith('mission.') && !NO_MOVES.has(type)) {
      this.#missions.set(missionId, MISSION_TOLD[type]?.(before, this.#begun.has(missionId)) ?? type)
    }
    const next = TASK_STATE_AFTER[type]
    if (taskId !== null && next !== undefined) this.#moveTask(taskId, next)
  }

  #moveTask(taskId: string, to: TaskState): void {
    const { state: from, attempt } = this.#tasks.get(taskId) ?? { state: 'blocked', attempt: 0 }
    if (LEGAL_TASK_MOVES[from].length === 0) this.#report('O1 an event after the end of its task', { taskId, from, to })
    else if (!LEGAL_TASK_MOVES[from].includes(to))
      this.#report('O2 a move that is not in the table', { taskId, from, to })
    this.#tasks.set(taskId, { state: to, attempt: attempt + (to === 'executing' ? 1 : 0) })
  }

  compareTask({ id, state, attempt }: TaskNow): void {
    const told = this.#tasks.get(id) ?? { state: 'blocked', attempt: 0 }
    if (told.state !== state || told.attempt !== attempt) {
      this.#report('O19 a task that is not what its events tell', { taskId: id, state, attempt, told })
    }
  }

  compareMission({ id, state, started }: MissionNow): void {
    const told = this.#missions.get(id)
    const expected = state === 'running' ? 'mission.started' : `mission.${state}`
    if (told !== expected || (state === 'running' && !started)) {
      this.#report('O19 a mission that is not what its events tell', { missionId: id, state, started, told })
    }
  }

  broken(): Broken[] {
    return [...this.#wrong].map(([invariant, rows]) => ({ invariant, rows }))
  }

  #report(invariant: string, row: object): void {
    const rows = this.#wrong.get(invariant) ?? []
    if (rows.length < 5) rows.push(row)
    this.#wrong.set(invariant, rows)
  }
}
