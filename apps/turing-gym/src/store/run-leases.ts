import type { Db } from '@hypercode/db'
import { sql } from 'kysely'
import { RUN_COLUMNS } from './runs.ts'
import type { RunRecord } from './runs.ts'

/**
 * Takes runs that nobody carries out, or whose owner fell silent: those of tenants that have the fewest under way first. A run that has
 * ended is taken too while anything may be left over of it.
 */
export async function takeRuns(db: Db, owner: string, leaseMs: number, max: number): Promise<RunRecord[]> {
  const taken = await sql<RunRecord>`
    update gym_runs r set owner = ${owner}, owner_until = now() + ${leaseMs} * interval '1 millisecond', strikes = r.strikes + 1,
      state = case when r.state = 'queued' then 'running' else r.state end,
      started_at = case when r.state = 'queued' then coalesce(r.started_at, now()) else r.started_at end
    from (select w.id from gym_runs w
      where w.cleaned_at is null and (w.owner_until is null or w.owner_until < now())
      order by (select count(*) from gym_runs u where u.cleaned_at is null and u.tenant_id = w.tenant_id and u.owner_until > now()), w.id
      limit ${max} for update of w skip locked) free
    where r.id = free.id returning ${RUN_COLUMNS}`.execute(db)
  return taken.rows
}

/** Renews what `owner` holds and answers it as it is now; what is missing in the answer has been lost. */
export async function renewRuns(db: Db, owner: string, leaseMs: number, ids: readonly string[]): Promise<RunRecord[]> {
  if (ids.length === 0) return []
  const renewed = await sql<RunRecord>`update gym_runs r set owner_until = now() + ${leaseMs} * interval '1 millisecond'
    where r.id = any(${[...ids]}::uuid[]) and r.owner = ${owner} and r.owner_until > now() returning ${RUN_COLUMNS}`.execute(
    db,
  )
  return renewed.rows
}

/** Gives a run back, so that the next one to look can carry it on. */
export async function releaseRun(db: Db, owner: string, id: string): Promise<void> {
  await sql`update gym_runs set owner = null, owner_until = null where id = ${id} and owner = ${owner}`.execute(db)
}

/** Nothing is left over of a run that has ended. False when it has not, or is another's by now. */
export async function markCleaned(db: Db, owner: string, id: string): Promise<boolean> {
  const done = await sql`update gym_runs set cleaned_at = now(), owner = null, owner_until = null
    where id = ${id} and owner = ${owner} and ended_at is not null`.execute(db)
  return done.numAffectedRows === 1n
}

/** Keeps why a run could not be carried on, for whoever reads it while it is tried again. */
export async function noteTrouble(db: Db, owner: string, id: string, words: string): Promise<void> {
  await sql`update gym_runs set error = ${words.slice(0, 4000)} where id = ${id} and owner = ${owner} and ended_at is null`.execute(
    db,
  )
}
