import type { Db } from '@hypercode/db'
import { makeKeys, openRedis } from '@hypercode/events'
import type { Broken } from '@hypercode/testkit/invariants'
import { sql } from 'kysely'
import { Violations } from './violations.ts'

export interface StreamTarget {
  readonly url: string
  readonly keyPrefix?: string
  /** False when Redis lost data in the run: then only what is there is looked at, not whether all is there. */
  readonly complete: boolean
}

type Redis = ReturnType<typeof openRedis>
type Entry = readonly [id: string, fields: readonly string[]]

/** Above what the writers ask for, since Redis trims whole nodes. */
const BOUNDS = { bell: 1000 + 200, events: 100_000 + 200 } as const
const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const QUEUE = /^[a-z0-9][a-z0-9._:/-]{0,199}$/i
const CORRELATION = /^[\x21-\x7e]{1,200}$/

/**
 * The streams are broadcast hints without consumer groups, so S2 and S3 (consumers, pending entries) have nothing to be true of, and S1 is
 * that there is no group. Two replicas publish side by side, so hints may come in any order; a reader looks into Postgres.
 */
export async function findBrokenStreams(db: Db, target: StreamTarget): Promise<Broken[]> {
  const redis = openRedis({ url: target.url, role: 'reader', onError: () => undefined })
  const found = new Violations()
  const keys = makeKeys(target.keyPrefix)
  try {
    await checkKeys(redis, target.keyPrefix ?? 'hc', found)
    for (const name of ['bell', 'events'] as const) {
      const length = await redis.xlen(keys[name])
      if (length > BOUNDS[name]) found.add('S4 a stream is longer than its bound', { stream: name, length })
      if (length > 0) {
        const groups = (await redis.xinfo('GROUPS', keys[name])) as unknown[]
        if (groups.length > 0) found.add('S1 a consumer group, by which nothing reads', { stream: name })
      }
    }
    for (const [id, fields] of await redis.xrange(keys.bell, '-', '+')) checkBell([id, fields], found)
    const told = new Map<string, number>()
    for (const [id, fields] of await redis.xrange(keys.events, '-', '+')) checkHints([id, fields], found, told)
    await compareWithMissions(db, told, target.complete, found)
    return found.list()
  } finally {
    redis.disconnect()
  }
}

async function checkKeys(redis: Redis, prefix: string, found: Violations): Promise<void> {
  let cursor = '0'
  do {
    const [next, keys] = await redis.scan(cursor, 'MATCH', `${prefix}:*`, 'COUNT', 1000)
    for (const key of keys) {
      if (!/^[a-z0-9-]+:\{s\d+\}:[a-z]/.test(key)) found.add('S8 a key without the hash tag of its shard', { key })
    }
    cursor = next
  } while (cursor !== '0')
}

function checkBell([id, fields]: Entry, found: Violations): void {
  const queues = parse(fields, 'queues')
  const isGood = (queue: unknown): boolean =>
    hasOnly(queue, ['tenantId', 'queue']) && ID.test(String(queue['tenantId'])) && QUEUE.test(String(queue['queue']))
  if (queues === undefined || !queues.every(isGood)) found.add('S5 a doorbell that is not one', { id, fields })
}

function checkHints([id, fields]: Entry, found: Violations, told: Map<string, number>): void {
  const hints = parse(fields, 'hints')
  if (hints === undefined) found.add('S5 an entry that is no list of hints', { id, fields })
  for (const hint of hints ?? []) {
    if (!isHint(hint)) found.add('S5 a hint that carries something else than ids and numbers', { id, hint })
    else if (hint['kind'] === 'mission') {
      const missionId = String(hint['missionId'])
      told.set(missionId, Math.max(told.get(missionId) ?? 0, Number(hint['seq'])))
    }
  }
}

function isHint(hint: unknown): hint is Record<string, unknown> {
  if (!hasOnly(hint, ['kind', 'tenantId', 'missionId', 'seq', 'correlationId', 'ended'])) return false
  if (!ID.test(String(hint['tenantId'])) || !Number.isSafeInteger(hint['seq'])) return false
  if (hint['kind'] === 'agents') return hint['missionId'] === undefined
  const isEnd = hint['ended'] === undefined || hint['ended'] === true
  return (
    hint['kind'] === 'mission' &&
    ID.test(String(hint['missionId'])) &&
    CORRELATION.test(String(hint['correlationId'])) &&
    isEnd
  )
}

function hasOnly(value: unknown, members: readonly string[]): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.keys(value).every((key) => members.includes(key))
}

function parse(fields: readonly string[], name: string): unknown[] | undefined {
  if (fields.length !== 2 || fields[0] !== name) return undefined
  try {
    const parsed: unknown = JSON.parse(fields[1] ?? '')
    return Array.isArray(parsed) ? parsed : undefined
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

async function compareWithMissions(
  db: Db,
  told: ReadonlyMap<string, number>,
  complete: boolean,
  found: Violations,
): Promise<void> {
  const { rows } = await sql<{ id: string; seq: number }>`select id, event_seq as seq from missions`.execute(db)
  const seqOf = new Map(rows.map(({ id, seq }) => [id, seq]))
  for (const [missionId, seq] of told) {
    const now = seqOf.get(missionId)
    if (now === undefined || now < seq) found.add('S7 a hint of something that is not in Postgres', { missionId, seq })
  }
  if (!complete) return
  for (const [missionId, seq] of seqOf) {
    if ((told.get(missionId) ?? 0) < seq) found.add('S6 events that no hint told of', { missionId, seq })
  }
}
