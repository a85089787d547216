/** Writes what has happened to an instance, with its event and its audit row, if nobody has changed it meanwhile. */
import { revokeClient, setClientSecret } from '@hypercode/db'
import type { Db, Trx } from '@hypercode/db'
import { changeFleet } from '@hypercode/events'
import type { FleetJournal, Publish } from '@hypercode/events'
import { sql } from 'kysely'
import type { Change } from '../domain/transitions.ts'

export interface ChangeDeps {
  readonly db: Db
  readonly publish: Publish
  /** How long a token can live; so long the revocation of a credential is remembered. */
  readonly tokenLifeS: number
}

/** What a change is about and what it was decided on. */
export interface Subject {
  readonly id: string
  readonly tenantId: string
  readonly blueprint: string
  readonly version: number
  readonly role: 'member' | 'spare'
  readonly clientId: string
  readonly versionNo: number
}

/** Lines that are kept with an instance that is quarantined. */
const LAST_LINES = 50

/** False when the row is no longer the one that the change was decided on; then nothing was written. `owner` must still hold it. */
export async function writeChange(deps: ChangeDeps, subject: Subject, change: Change, owner: string): Promise<boolean> {
  return await changeFleet(deps.db, deps.publish, [subject.tenantId], async (trx, journal) => {
    return await applyChange(trx, journal, deps, subject, change, { actor: 'system', owner })
  })
}

/** The same within a transaction that holds the head of the tenant. */
export async function applyChange(
  trx: Trx,
  journal: FleetJournal,
  { tokenLifeS }: Pick<ChangeDeps, 'tokenLifeS'>,
  subject: Subject,
  change: Change,
  { actor, owner }: { actor: string; owner?: string },
): Promise<boolean> {
  const held = owner === undefined ? sql`true` : sql`(f.owner = ${owner} and f.owner_until > now())`
  const written = await sql`update factory_instances f set ${sql.join(assignments(change))}
    where f.id = ${subject.id} and f.version_no = ${subject.versionNo} and f.ended_at is null and ${held}`.execute(trx)
  if (written.numAffectedRows !== 1n) return false
  if (typeof change.launch === 'object') {
    await setClientSecret(trx, subject.tenantId, subject.clientId, change.launch.secretHash)
  }
  if (change.isOver === true) await revokeClient(trx, subject.tenantId, subject.clientId, tokenLifeS)
  tell(journal, subject, change, actor)
  return true
}

function assignments(change: Change) {
  const { launch } = change
  const set = [sql`version_no = f.version_no + 1`, sql`lifecycle = ${change.lifecycle}`]
  if (change.dueInMs !== undefined) set.push(sql`next_action_at = now() + ${change.dueInMs} * interval '1 millisecond'`)
  if (change.desired !== undefined) set.push(sql`desired = ${change.desired}`)
  if (change.reason !== undefined) set.push(sql`reason = ${change.reason}`)
  if (change.handle !== undefined) set.push(sql`handle = ${JSON.stringify(change.handle)}::jsonb`)
  if (change.crashes !== undefined) set.push(sql`crashes = ${JSON.stringify(change.crashes)}::jsonb`)
  if (change.isOver === true) set.push(sql`ended_at = now(), owner = null, owner_until = null`)
  if (launch === 'gone') set.push(sql`launch_id = null, handle = null`)
  else if (typeof launch === 'object') {
    set.push(sql`launch_id = ${launch.launchId}, host = ${launch.host}, handle = null, starts = f.starts + 1, started_at = now(),
      log_cursor = 0`)
  }
  set.push(...readiness(change.ready))
  if (change.lastLines === 'forget') set.push(sql`last_lines = null`)
  else if (change.lastLines === 'keep') {
    set.push(sql`last_lines = (select coalesce(jsonb_agg(l.line order by l.seq), '[]') from (
      select seq, line from instance_logs where instance_id = f.id order by seq desc limit ${LAST_LINES}) l)`)
  }
  return set
}

function readiness(ready: Change['ready']) {
  if (ready === 'now') return [sql`ready_at = now()`]
  if (ready === 'no') return [sql`ready_at = null, idle_since = null`]
  return ready === 'asleep' ? [sql`ready_at = null, idle_since = null, started_at = null`] : []
}

/** What changes hands without a word, as the place of a process does, is in no event. */
function tell(journal: FleetJournal, subject: Subject, { event, reason }: Change, actor: string): void {
  if (event === undefined) return
  const { id, tenantId, blueprint, version, role } = subject
  const body = { id, blueprint, version, role, ...event.body, ...(typeof reason === 'string' && { reason }) }
  journal.add({ tenantId, type: event.type, ref: `instances/${id}`, body })
  journal.audit({ tenantId, actor, action: event.type, ref: id, detail: body })
}
