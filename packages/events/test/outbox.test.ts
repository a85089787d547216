import { addToOutbox, createPublisher, deleteSent, openRedis, parseHints, ringBell, takeDue } from '@hypercode/events'
import type { Publisher } from '@hypercode/events'
import { test as base } from '@hypercode/testkit'
import fc from 'fast-check'
import { sql } from 'kysely'
import { describe, expect } from 'vitest'
import { commit, makeDue, missionHint, outboxIds } from './support.ts'

interface Publishing {
  readonly publisher: Publisher
  readonly failures: unknown[]
}

const test = base.extend('publishing', async ({ db, redisUrl, keys }, { onCleanup }): Promise<Publishing> => {
  const producer = openRedis({ url: redisUrl, role: 'producer', onError: () => undefined })
  onCleanup(() => producer.disconnect())
  await new Promise((resolve) => producer.once('ready', resolve))
  const failures: unknown[] = []
  return {
    publisher: createPublisher({ db, redis: producer, keys, onFailure: (error) => failures.push(error) }),
    failures,
  }
})

describe('a row', () => {
  test('is there exactly when its transaction has committed', async ({ db }) => {
    const [one] = [missionHint(1)]
    const failed = db.transaction().execute(async (trx) => {
      await addToOutbox(trx, [one])
      throw new Error('the change failed')
    })
    await expect(failed).rejects.toThrow('the change failed')
    expect(await outboxIds(db)).toEqual([])
    const row = await commit(db, [one])
    expect(row.hints).toEqual([one])
    expect(await outboxIds(db)).toEqual([row.id])
  })

  test('is left alone at first, for the process that wrote it', async ({ db }) => {
    await commit(db, [missionHint(1)])
    expect(await takeDue(db, 10)).toEqual([])
    await makeDue(db)
    expect(await takeDue(db, 10)).toHaveLength(1)
  })

  test('is taken again later and later, but at least every 30 seconds', async ({ db }) => {
    await commit(db, [missionHint(1)])
    const pauses: number[] = []
    for (let turn = 0; turn < 8; turn += 1) {
      await makeDue(db)
      expect(await takeDue(db, 10)).toHaveLength(1)
      const { rows } = await sql<{ s: number }>`
        select round(extract(epoch from next_try_at - now()))::int as s from outbox`.execute(db)
      pauses.push(rows[0]?.s ?? -1)
    }
    expect(pauses).toEqual([1, 2, 4, 8, 16, 30, 30, 30])
  })

  test('comes oldest first, no more than asked for', async ({ db }) => {
    const rows = [
      await commit(db, [missionHint(1)]),
      await commit(db, [missionHint(2)]),
      await commit(db, [missionHint(3)]),
    ]
    await sql`update outbox set next_try_at = now() - id * interval '1 second'`.execute(db)
    const first = await takeDue(db, 2)
    expect(first.map(({ id }) => id).toSorted((a, b) => a - b)).toEqual([rows[1]?.id, rows[2]?.id])
    expect(await takeDue(db, 2)).toEqual([rows[0]])
    expect(await takeDue(db, 2)).toEqual([])
    await deleteSent(
      db,
      rows.map(({ id }) => id),
    )
    expect(await outboxIds(db)).toEqual([])
  })
})

// Goal: replicas share the work and do not do it twice. Method: replicas take batches of any size at once until nothing is due.
test('replicas that take at once never take a row twice, and leave none', async ({ db }) => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: 60 }),
      fc.integer({ min: 2, max: 4 }),
      fc.integer({ min: 1, max: 15 }),
      async (count, replicas, limit) => {
        await db.deleteFrom('outbox').execute()
        const hints = Array.from({ length: count }, (_, n) => ({ payload: JSON.stringify([missionHint(n)]) }))
        if (count > 0) await db.insertInto('outbox').values(hints).execute()
        await makeDue(db)
        const drain = async (): Promise<number[]> => {
          const rows = await takeDue(db, limit)
          return rows.length === 0 ? [] : [...rows.map(({ id }) => id), ...(await drain())]
        }
        const taken = (await Promise.all(Array.from({ length: replicas }, drain))).flat()
        expect(taken.toSorted((a, b) => a - b)).toEqual(await outboxIds(db))
      },
    ),
    { numRuns: 20 },
  )
})

describe('publishing', () => {
  test('at once: the entry is in the stream and the row is gone', async ({ db, redis, keys, publishing }) => {
    const { publisher, failures } = publishing
    const hints = [missionHint(1), missionHint(2)]
    publisher.publishSoon(await commit(db, hints))
    await publisher.idle()
    const entries = await redis.xrange(keys.events, '-', '+')
    expect(entries.map(([, fields]) => parseHints(fields[1]))).toEqual([hints])
    expect(await outboxIds(db)).toEqual([])
    expect(failures).toEqual([])
  })

  test('many at once: every one arrives once, in order', async ({ db, redis, keys, publishing: { publisher } }) => {
    const rows = await Promise.all(Array.from({ length: 60 }, async (_, n) => await commit(db, [missionHint(n)])))
    for (const row of rows) publisher.publishSoon(row)
    await publisher.idle()
    const entries = await redis.xrange(keys.events, '-', '+')
    expect(entries.flatMap(([, fields]) => parseHints(fields[1])).map(({ seq }) => seq)).toEqual(
      Array.from({ length: 60 }, (_, n) => n),
    )
    expect(await outboxIds(db)).toEqual([])
  })

  test('a row of many hints becomes several entries', async ({ db, redis, keys, publishing: { publisher } }) => {
    publisher.publishSoon(
      await commit(
        db,
        Array.from({ length: 1234 }, (_, n) => missionHint(n)),
      ),
    )
    await publisher.idle()
    const entries = await redis.xrange(keys.events, '-', '+')
    expect(entries.map(([, fields]) => parseHints(fields[1]).length)).toEqual([500, 500, 234])
  })

  // Method: Redis is given more entries than a stream keeps, by a script of its own, before one more comes by the usual way.
  test('however many come, and whether anybody reads, neither stream grows without end', async ({
    db,
    redis,
    keys,
    publishing: { publisher },
  }) => {
    const fill = `for n = 1, tonumber(ARGV[1]) do redis.call('XADD', KEYS[1], '*', 'hints', '[]') end`
    await redis.eval(fill, 1, keys.events, 105_000)
    publisher.publishSoon(await commit(db, [missionHint(1)]))
    await publisher.idle()
    // Redis cuts off whole nodes of a hundred entries.
    expect(await redis.xlen(keys.events)).toBeLessThanOrEqual(100_100)
    const [[, last]] = (await redis.xrevrange(keys.events, '+', '-', 'COUNT', 1)) as [[string, string[]]]
    expect(parseHints(last[1])).toMatchObject([{ seq: 1 }])
    await redis.eval(fill, 1, keys.bell, 1500)
    await ringBell(redis, keys, [{ tenantId: 't', queue: 'q' }])
    expect(await redis.xlen(keys.bell)).toBeLessThanOrEqual(1100)
  })

  test('what nobody published in time is sent by a relay turn', async ({
    db,
    redis,
    keys,
    publishing: { publisher },
  }) => {
    await commit(db, [missionHint(1)])
    expect(await publisher.relayTurn()).toBe(0)
    await makeDue(db)
    expect(await publisher.relayTurn()).toBe(1)
    expect(await redis.xlen(keys.events)).toBe(1)
    expect(await outboxIds(db)).toEqual([])
    expect(await publisher.relayTurn()).toBe(0)
  })

  test('what gathered while Redis was away goes out in one turn, batch by batch', async ({
    db,
    redis,
    keys,
    publishing,
  }) => {
    for (let seq = 1; seq <= 250; seq += 1) await commit(db, [missionHint(seq)])
    await makeDue(db)
    expect(await publishing.publisher.relayTurn()).toBe(250)
    expect(await redis.xlen(keys.events)).toBe(250)
    expect(await outboxIds(db)).toEqual([])
  })

  // P2: the row goes only after Redis took the entry. Method: the key is of another kind, so Redis refuses every entry.
  test('what Redis refuses stays, and does not hold up the next try', async ({ db, redis, keys, publishing }) => {
    const { publisher, failures } = publishing
    await redis.set(keys.events, 'not a stream')
    const row = await commit(db, [missionHint(1)])
    publisher.publishSoon(row)
    await publisher.idle()
    expect(failures).toHaveLength(1)
    await makeDue(db)
    await expect(publisher.relayTurn()).rejects.toThrow(/WRONGTYPE/)
    expect(await outboxIds(db)).toEqual([row.id])
    await redis.del(keys.events)
    await makeDue(db)
    expect(await publisher.relayTurn()).toBe(1)
    expect(await outboxIds(db)).toEqual([])
  })
})
