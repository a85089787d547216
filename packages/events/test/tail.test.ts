import { makeKeys, parseBell, ringBell, tailStream } from '@hypercode/events'
import { createFaultProxy, test as base, waitFor } from '@hypercode/testkit'
import { describe, expect } from 'vitest'
import { listen, missionHint } from './support.ts'
import type { Ear } from './support.ts'

const test = base
  .extend('proxy', async ({ redisUrl }, { onCleanup }) => {
    const proxy = await createFaultProxy(redisUrl)
    onCleanup(async () => await proxy.stop())
    return proxy
  })
  /** Listens to the event stream of the test through the proxy, from when it is ready. */
  .extend('ear', async ({ redisUrl, keys, proxy }, { onCleanup }) => {
    const ear: Ear = listen(proxy.through(redisUrl), keys.events)
    onCleanup(async () => await ear.tail.stop())
    await waitFor(() => ear.tail.connected, { what: 'a connected tail' })
    return ear
  })
  .extend('send', ({ redis, keys }) => async (...seqs: number[]): Promise<void> => {
    for (const seq of seqs) await redis.xadd(keys.events, '*', 'hints', JSON.stringify([missionHint(seq)]))
  })

const upTo = (end: number): number[] => Array.from({ length: end }, (_, n) => n + 1)

describe('a tail', () => {
  test('hears everything after its start, in order, and nothing from before', async ({
    redis,
    redisUrl,
    keys,
    send,
  }) => {
    await send(-2, -1)
    const ear = listen(redisUrl, keys.events)
    await waitFor(() => ear.gaps === 1, { what: 'the start' })
    const pipeline = redis.pipeline()
    for (const seq of upTo(2000)) pipeline.xadd(keys.events, '*', 'hints', JSON.stringify([missionHint(seq)]))
    await pipeline.exec()
    await waitFor(() => ear.heard.length >= 2000, { what: 'all entries' })
    await ear.tail.stop()
    expect(ear.heard).toEqual(upTo(2000))
    expect(ear.gaps).toBe(1)
  })

  test('hears the first entry of a stream that was not there', async ({ ear, send }) => {
    await send(1)
    await waitFor(() => ear.heard.length === 1, { what: 'the entry' })
    expect(ear.gaps).toBe(1)
  })

  test('is one of many that hear the same', async ({ redisUrl, keys, ear, send }) => {
    const other = listen(redisUrl, keys.events)
    await waitFor(() => other.gaps === 1, { what: 'the start' })
    await send(...upTo(20))
    await waitFor(() => ear.heard.length === 20 && other.heard.length === 20, { what: 'all entries at both' })
    await other.tail.stop()
    expect(other.heard).toEqual(ear.heard)
  })

  test('stands entries that are not ours', async ({ redis, keys, ear, send }) => {
    await redis.xadd(keys.events, '*', 'a', 'b', 'hints', '{"broken', 'hints2', '')
    await redis.xadd(keys.events, '*', '__proto__', 'x')
    await redis.xadd(keys.events, '*', 'hints', '[null,7]')
    await send(1)
    await waitFor(() => ear.heard.length === 1, { what: 'our entry' })
    expect(ear.errors).toEqual([])
  })

  test('ends at once when it is told to, also in the middle of a read', async ({ ear }) => {
    const from = performance.now()
    await ear.tail.stop()
    expect(performance.now() - from).toBeLessThan(500)
    expect(ear.tail.connected).toBe(false)
  })

  test('ends at once while Redis is away', async ({ ear, proxy }) => {
    await proxy.setMode('refuse')
    await waitFor(() => !ear.tail.connected, { what: 'a lost connection' })
    const from = performance.now()
    await ear.tail.stop()
    expect(performance.now() - from).toBeLessThan(1500)
  })
})

describe('what may have been missed is reported, and reading goes on', () => {
  const hearsAgain = async (ear: Ear, send: (...seqs: number[]) => Promise<void>, timeoutMs = 5000): Promise<void> => {
    await waitFor(() => ear.gaps >= 2 && ear.tail.connected, { what: 'a second start', timeoutMs })
    await send(77)
    await waitFor(() => ear.heard.includes(77), { what: 'the entry after the gap' })
  }

  test('after a cut', async ({ ear, proxy, send }) => {
    await send(1)
    await waitFor(() => ear.heard.length === 1, { what: 'the entry' })
    proxy.cut()
    await hearsAgain(ear, send)
    expect(ear.errors.length).toBeGreaterThan(0)
  })

  test('after an outage, in which it says that it is not connected', async ({ ear, proxy, send }) => {
    await proxy.setMode('refuse')
    await waitFor(() => !ear.tail.connected, { what: 'word of the outage' })
    await send(1)
    await proxy.setMode('pass')
    await hearsAgain(ear, send)
  })

  // A connection can die without a word: a lost route, a firewall that forgets. Nothing would ever come, and nobody would know.
  test('after a connection has gone silent', async ({ ear, proxy, send }) => {
    expect(proxy.strand()).toBe(1)
    await send(1)
    await hearsAgain(ear, send, 8000)
  })

  test('after a stream was deleted, entries come on', async ({ ear, redis, keys, send }) => {
    await send(1, 2)
    await waitFor(() => ear.heard.length === 2, { what: 'two entries' })
    await redis.del(keys.events)
    await send(3)
    await waitFor(() => ear.heard.length === 3, { what: 'the entry after' })
    expect(ear.heard).toEqual([1, 2, 3])
  })
})

test('with a pace hears the first entry at once, and together those that come while it pauses', async ({
  redis,
  redisUrl,
  keys,
}) => {
  const turns: string[][] = []
  let turn: string[] | undefined
  let ready = false
  const tail = tailStream({
    url: redisUrl,
    stream: keys.events,
    onEntry: ({ n }) => {
      if (turn === undefined) {
        turns.push((turn = []))
        queueMicrotask(() => (turn = undefined))
      }
      turn.push(String(n))
    },
    onGap: () => (ready = true),
    onError: () => undefined,
    paceMs: 1000,
  })
  await waitFor(() => ready, { what: 'the start' })
  await redis.xadd(keys.events, '*', 'n', 0)
  await waitFor(() => turns.length === 1, { what: 'the first' })
  for (const n of [1, 2, 3]) await redis.xadd(keys.events, '*', 'n', n)
  await waitFor(() => turns.flat().length === 4, { what: 'the others' })
  await tail.stop()
  expect(turns).toEqual([['0'], ['1', '2', '3']])
})

describe('a bell', () => {
  test('rings at every replica and names the queues', async ({ redis, redisUrl, keyPrefix }) => {
    const keys = makeKeys(keyPrefix)
    const heard: unknown[] = []
    let ready = false
    const tail = tailStream({
      url: redisUrl,
      stream: keys.bell,
      onEntry: (fields) => heard.push(...parseBell(fields['queues'])),
      onGap: () => (ready = true),
      onError: () => undefined,
    })
    await waitFor(() => ready, { what: 'the start' })
    const queues = [
      { tenantId: 't', queue: 'code.review' },
      { tenantId: 't', queue: 'plan' },
    ]
    await ringBell(redis, keys, queues)
    await waitFor(() => heard.length === 2, { what: 'both queues' })
    await tail.stop()
    expect(heard).toEqual(queues)
  })

  test('that names nothing does not ring, and old ones are forgotten', async ({ redis, keys }) => {
    await ringBell(redis, keys, [])
    expect(await redis.exists(keys.bell)).toBe(0)
    for (let n = 0; n < 30; n += 1)
      await Promise.all(
        Array.from({ length: 100 }, async () => await ringBell(redis, keys, [{ tenantId: 't', queue: 'q' }])),
      )
    expect(await redis.xlen(keys.bell)).toBeLessThan(1200)
  })
})
