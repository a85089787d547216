/**
 * The queued tasks of a paused mission are marked, so that a claim does not read through thousands of them. The mark only spares work: a
 * claim also looks at the mission itself. All of it happens with the mission locked, so that no task is queued meanwhile.
 */
import type { Trx } from '@hypercode/db'
import { sql } from 'kysely'

/** Marks what is queued; what a claim has in its hands at this moment is begun. */
export async function holdTasks(trx: Trx, missionId: string): Promise<void> {
  await sql`
    update tasks set held = true where id in (
      select id from tasks where mission_id = ${missionId} and state = 'queued' and not held order by id for no key update skip locked)`.execute(
    trx,
  )
}

/** The same; answers false when some task was in the hands of another transaction, and is not marked. */
export async function holdEvery(trx: Trx, missionId: string): Promise<boolean> {
  await holdTasks(trx, missionId)
  const left = await sql<{ left: boolean }>`
    select exists (select from tasks where mission_id = ${missionId} and state = 'queued' and not held) as left`.execute(
    trx,
  )
  return left.rows[0]?.left === false
}

/** Takes the marks away; answers where there is work now, and whether some task was in the hands of another transaction and keeps its mark. */
export async function letTasksGo(trx: Trx, missionId: string): Promise<{ queues: string[]; left: boolean }> {
  const freed = await sql<{ queue: string }>`
    with free as (
      update tasks set held = false where id in (
        select id from tasks where mission_id = ${missionId} and held order by id for no key update skip locked) returning queue)
    select distinct queue from free`.execute(trx)
  const left = await sql<{ left: boolean }>`
    select exists (select from tasks where mission_id = ${missionId} and held) as left`.execute(trx)
  return { queues: freed.rows.map((row) => row.queue), left: left.rows[0]?.left === true }
}

/** Whether a task of the mission has ever been claimed. */
export async function hasStarted(trx: Trx, missionId: string): Promise<boolean> {
  const found = await sql<{ started: boolean }>`
    select started_at is not null as started from missions where id = ${missionId}`.execute(trx)
  return found.rows[0]?.started === true
}
