/**
 * Redis is killed, emptied, frozen and away, on private servers. It holds nothing that is owed to anybody: whatever happens to it,
 * every committed hint is published in the end, and a reader that may have missed one is told.
 */
import { createPublisher, makeKeys, openRedis } from '@hypercode/events'
import type { Publisher } from '@hypercode/events'
import { openDatabase } from '@hypercode/db'
import type { DatabaseHandle } from '@hypercode/db'
import { startPrivateStack, waitFor } from '@hypercode/testkit/tools'
import type { Stack } from '@hypercode/testkit/tools'
import type { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { commit, listen, makeDue, missionHint, outboxIds } from './support.ts'
import type { Ear } from './support.ts'

const keys = makeKeys('chaos')
let stack: Stack
let handle: DatabaseHandle
let redis: Redis
let publisher: Publisher
let ear: Ear
let failures: unknown[]

beforeAll(async () => {
  stack = await startPrivateStack()
  handle = openDatabase({ url: stack.databaseUrl, poolMax: 4, applicationName: 'chaos', onIdleError: () => undefined })
})
afterAll(async () => {
  await handle.close()
  await stack.stop()
})
beforeEach(async () => {
  await handle.db.deleteFrom('outbox').execute()
  failures = []
  redis = openRedis({ url: stack.redisUrl, role: 'producer', onError: () => undefined })
  publisher = createPublisher({ db: handle.db, redis, keys, onFailure: (error) => failures.push(error) })
  ear = listen(stack.redisUrl, keys.events)
  await waitFor(() => redis.status === 'ready' && ear.tail.connected, { what: 'both connections' })
})
afterEach(async () => {
  await publisher.idle()
  await ear.tail.stop()
  redis.disconnect()
})

/** What a loop of the service does, without its pauses. */
async function relayUntilEmpty(): Promise<void> {
  await waitFor(
    async () => {
      await makeDue(handle.db)
      await publisher.relayTurn()
      return (await outboxIds(handle.db)).length === 0
    },
    { what: 'an empty outbox', timeoutMs: 10_000, everyMs: 50 },
  )
}

test('Redis is down: the row stays, and goes out when Redis is back', async () => {
  await stack.servers.redis.kill('SIGKILL')
  await stack.servers.redis.waitGone(5000)
  const from = performance.now()
  const row = await commit(handle.db, [missionHint(1)])
  publisher.publishSoon(row)
  await publisher.idle()
  expect(performance.now() - from).toBeLessThan(2000)
  expect(failures).toHaveLength(1)
  expect(await outboxIds(handle.db)).toEqual([row.id])
  await makeDue(handle.db)
  await expect(publisher.relayTurn()).rejects.toThrow(/closed|writeable|timed out|max retries/i)
  expect(await outboxIds(handle.db)).toEqual([row.id])
  await stack.servers.redis.restart()
  await waitFor(() => ear.gaps === 2, { what: 'the reader to be back and to know that it may have missed something' })
  await relayUntilEmpty()
  await waitFor(() => ear.heard.includes(1), { what: 'the hint' })
})

test('Redis is frozen: publishing fails in bounded time and the row stays', async () => {
  await stack.servers.redis.kill('SIGSTOP')
  try {
    const from = performance.now()
    const row = await commit(handle.db, [missionHint(1)])
    publisher.publishSoon(row)
    await publisher.idle()
    expect(performance.now() - from).toBeLessThan(2000)
    expect(failures).toHaveLength(1)
    expect(await outboxIds(handle.db)).toEqual([row.id])
  } finally {
    await stack.servers.redis.kill('SIGCONT')
  }
  await relayUntilEmpty()
  await waitFor(() => ear.heard.includes(1), { what: 'the hint' })
})

interface Load {
  /** Number of the last change that has committed. */
  readonly committed: number
  stop(): Promise<void>
}

/** Changes commit without a pause, each with its number as the hint, and the relay runs as it does in a service. */
function startLoad(): Load {
  let [started, committed, stopping] = [0, 0, false]
  const write = async (): Promise<void> => {
    while (!stopping) {
      const row = await commit(handle.db, [missionHint((started += 1))])
      committed = Math.max(committed, row.hints[0]?.seq ?? 0)
      publisher.publishSoon(row)
    }
  }
  const relay = async (): Promise<void> => {
    while (!stopping) await publisher.relayTurn().catch((error: unknown) => failures.push(error))
  }
  const all = [write(), write(), relay()]
  return {
    get committed() {
      return committed
    },
    async stop() {
      stopping = true
      await Promise.all(all)
      await publisher.idle()
    },
  }
}

const missingUpTo = (end: number): number[] => {
  const heard = new Set(ear.heard)
  return Array.from({ length: end }, (_, n) => n + 1).filter((n) => !heard.has(n))
}

// Goal: no committed hint is lost when Redis dies: a reader hears it, or is told of a gap after it was committed.
// Method: changes commit without a pause, while Redis is killed and started three times.
test('Redis is killed again and again under load: what a reader does not hear lies before its last gap', async () => {
  const load = startLoad()
  let committedAtGap = 0
  for (let round = 0; round < 3; round += 1) {
    const before = load.committed
    await waitFor(() => load.committed > before + 30, { what: 'some load' })
    await stack.servers.redis.kill('SIGKILL')
    await stack.servers.redis.waitGone(5000)
    const during = load.committed
    await waitFor(() => load.committed > during + 30, { what: 'some load while Redis is away' })
    await stack.servers.redis.restart()
    await waitFor(() => ear.gaps === round + 2, { what: 'the reader to be back', everyMs: 1 })
    committedAtGap = load.committed + 2 // each writer may have committed one more that it had not counted yet
  }
  const after = load.committed
  await waitFor(() => load.committed > after + 30, { what: 'some load' })
  await load.stop()
  expect(failures.length).toBeGreaterThan(0)
  expect((await outboxIds(handle.db)).length).toBeGreaterThan(0)
  await relayUntilEmpty()
  await waitFor(() => missingUpTo(load.committed).every((n) => n <= committedAtGap), {
    what: 'everything since the gap',
  })
  expect(ear.heard.length).toBeGreaterThan(30)
  expect(ear.gaps).toBe(4)
})

// Goal: an emptied Redis costs at most what was in it and unread; everything after is heard without a new start.
test('Redis is emptied again and again under load: everything that commits afterwards is heard', async () => {
  const admin = openRedis({ url: stack.redisUrl, role: 'reader', onError: () => undefined })
  const load = startLoad()
  for (let round = 0; round < 5; round += 1) {
    const before = load.committed
    await waitFor(() => load.committed > before + 20, { what: 'some load' })
    await admin.flushall()
  }
  const committedAtFlush = load.committed + 2
  await waitFor(() => load.committed > committedAtFlush + 30, { what: 'some load' })
  await load.stop()
  admin.disconnect()
  await relayUntilEmpty()
  await waitFor(() => missingUpTo(load.committed).every((n) => n <= committedAtFlush), { what: 'everything since' })
  expect([ear.gaps, failures, ear.errors]).toEqual([1, [], []])
})
