import type { AND_COMMIT, Db } from '@hypercode/db'
import type { OutboxRow, QueueRef } from '@hypercode/events'
import type { Mission } from '@hypercode/contracts'
import { sql } from 'kysely'
import type { RawBuilder } from 'kysely'
import type { MissionFacts } from '../domain/facts.ts'
import { NOTHING_HANDED } from '../domain/hand-over.ts'
import type { HandOver } from '../domain/hand-over.ts'
import { isMissionTerminal } from '../domain/states.ts'
import type { EventDraft, Ledger } from '../domain/ledger.ts'
import { hintOf, queuesOf, toldOf } from './commit-news.ts'
import type { ToldEvent } from './commit-news.ts'
import { gate, openAttempts } from './hand-over.ts'
import { insertDeadLetters, insertEdges, insertEvents, insertTasks } from './insert-fragments.ts'
import { approvalParts } from './approvals.ts'
import { MISSION_COLUMNS, missionOfJson } from './read-missions.ts'
import type { MissionJson } from './read-missions.ts'
import type { FenceClaim } from './reports.ts'
import { ALWAYS, ONLY_UNCHANGED, unchangedParts } from './unchanged.ts'
import { endAttempts, freedQueues, updateMissions, updateTasks } from './update-fragments.ts'
import { verificationParts } from './verifications.ts'
import { waitParts } from './waits.ts'

/** What the caller does after the commit. */
export interface Saved {
  outbox: OutboxRow | undefined
  /** Where work may be claimed now. */
  queued: QueueRef[]
  /** Missions that reached their final state. */
  ended: string[]
  /** Those of them that somebody waits for, as they are now. */
  awaited?: Mission[]
  told: ToldEvent[]
  /** What was to be handed over was; otherwise it is among what is queued. */
  isHanded: boolean
}

export interface SaveOptions {
  /** When nothing comes behind it in its transaction. */
  end?: typeof AND_COMMIT
  /** Whether somebody here waits for the end of a mission: then it comes with what was saved, and need not be read. */
  isAwaited?: (missionId: string) => boolean
  /** Finds claims for what is queued. */
  handOver?: (ledger: Ledger) => HandOver
  /**
   * Of a ledger that was decided without locks, the attempts that end: it is saved, as a whole, only if they are held and nothing was written
   * to their missions since they began there; nothing is handed over then.
   */
  unchanged?: readonly FenceClaim[]
}

export const NOTHING_SAVED: Saved = { outbox: undefined, queued: [], ended: [], told: [], isHanded: false }

/** Writes everything that a ledger holds in one statement, made of only the parts that have rows. */
export async function saveLedger(
  db: Db,
  ledger: Ledger,
  { end = sql``, isAwaited = () => false, handOver = () => NOTHING_HANDED, unchanged }: SaveOptions = {},
): Promise<Saved> {
  if (ledger.events.length === 0 && ledger.changed.size === 0 && ledger.endedAttempts.length === 0) return NOTHING_SAVED
  const touched = [...new Set(ledger.events.map((event) => event.missionId))].map(
    (id) => ledger.missions.get(id) as MissionFacts,
  )
  const ended = touched.filter((mission) => isMissionTerminal(mission.state)).map((mission) => mission.id)
  const awaited = ended.filter(isAwaited)
  const over = unchanged === undefined ? handOver(ledger) : NOTHING_HANDED
  const { where, and } = unchanged === undefined ? ALWAYS : ONLY_UNCHANGED
  const isHanding = over.hands.size > 0
  const hints = touched.map((mission) => hintOf(mission))
  const handedHints = touched.map((mission) => hintOf(mission, over.eventsOf.get(mission.id)))
  const returning = awaited.length > 0 ? sql`returning ${MISSION_COLUMNS}` : sql``
  const payload = isHanding
    ? sql`case when exists (select from gate) then ${JSON.stringify(handedHints)}::jsonb else ${JSON.stringify(hints)}::jsonb end`
    : sql`${JSON.stringify(hints)}::jsonb`
  const parts = [
    ...(unchanged === undefined ? partsOf(ledger, over) : partsIfUnchanged(ledger, unchanged)),
    ...(touched.length === 0 ? [] : [sql`missions_moved as (${updateMissions(touched, over, returning, and)})`]),
    sql`outbox_in as (insert into outbox (payload) select ${payload} ${where} returning id)`,
  ]
  const seen =
    awaited.length === 0
      ? sql`null`
      : sql`(select json_agg(moved) from missions_moved moved where id = any(${awaited}::uuid[]))`
  const result = await sql<{
    id: number
    freed: QueueRef[] | null
    seen: MissionJson[] | null
    is_handed: boolean
  }>`with ${sql.join(parts)}
    select id, ${freedQueues(ledger)} as freed, ${seen} as seen, ${isHanding ? sql`exists (select from gate)` : sql`false`} as is_handed from outbox_in ${end}`.execute(
    db,
  )
  const [row] = result.rows
  if (row === undefined) return NOTHING_SAVED
  return {
    outbox: { id: row.id, hints: row.is_handed ? handedHints : hints },
    queued: [...queuesOf(ledger, row.is_handed ? over : NOTHING_HANDED), ...(row.freed ?? [])],
    ended,
    awaited: (row.seen ?? []).map(missionOfJson),
    told: toldOf(ledger),
    isHanded: row.is_handed,
  }
}

function partsOf(ledger: Ledger, over: HandOver): RawBuilder<unknown>[] {
  const isHanding = over.hands.size > 0
  const parts: RawBuilder<unknown>[] = []
  const add = (name: string, rows: number, part: () => RawBuilder<unknown>): void => {
    if (rows > 0) parts.push(sql`${sql.raw(name)} as (${part()})`)
  }
  if (isHanding) parts.push(gate(over))
  add('tasks_in', ledger.added.size, () => insertTasks(ledger.added, sql``, over))
  add('edges_in', ledger.edges.length, () => insertEdges(ledger.edges))
  add('tasks_moved', ledger.changed.size, () => updateTasks(ledger, over))
  add('attempts_ended', ledger.endedAttempts.length, () => endAttempts(ledger))
  add('letters_in', ledger.deadLetters.length, () => insertDeadLetters(ledger.deadLetters))
  for (const [name, rows, part] of [...waitParts(ledger), ...approvalParts(ledger), ...verificationParts(ledger)])
    add(name, rows, part)
  add('events_in', ledger.events.length, () => insertEvents(ofTenants(ledger, ledger.events)))
  if (!isHanding) return parts
  parts.push(
    openAttempts([...(ledger.added.size > 0 ? ['tasks_in'] : []), ...(ledger.changed.size > 0 ? ['tasks_moved'] : [])]),
  )
  add('claims_told', over.events.length, () =>
    insertEvents(ofTenants(ledger, over.events), sql`where exists (select from gate)`),
  )
  return parts
}

/** The end of attempts, and of their tasks and missions, is all that is decided without locks. */
function partsIfUnchanged(ledger: Ledger, claims: readonly FenceClaim[]): RawBuilder<unknown>[] {
  return [
    ...unchangedParts(claims),
    sql`tasks_moved as (${updateTasks(ledger, NOTHING_HANDED, ONLY_UNCHANGED.and)})`,
    sql`attempts_ended as (${endAttempts(ledger, ONLY_UNCHANGED.and)})`,
    sql`events_in as (${insertEvents(ofTenants(ledger, ledger.events), ONLY_UNCHANGED.where)})`,
  ]
}

const ofTenants = (ledger: Ledger, events: readonly EventDraft[]): (EventDraft & { tenantId: string })[] =>
  events.map((event) => ({ ...event, tenantId: (ledger.missions.get(event.missionId) as MissionFacts).tenantId }))
