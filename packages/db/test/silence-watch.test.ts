import { once } from 'node:events'
import { waitFor } from '@hypercode/testkit/tools'
import { expect, test } from 'vitest'
import { DatabaseSilent, createSilenceWatch } from '../src/silence-watch.ts'

const never = async (): Promise<never> => await new Promise(() => undefined)

/** A server that is asked: it answers only when told to, and how long each question was waited for is kept. */
function createServer() {
  const waitedMs: number[] = []
  let isThere = false
  const ask = async (signal: AbortSignal): Promise<void> => {
    if (isThere) return
    const from = performance.now()
    await once(signal, 'abort')
    waitedMs.push(performance.now() - from)
    throw new Error('given up')
  }
  return { ask, waitedMs, answers: (does: boolean) => void (isThere = does) }
}

// Goal: who is only slow is given more time, lest what it would have answered be given up again and again.
test('a silence that was soon over makes the next one longer to be believed', async () => {
  const server = createServer()
  const watch = createSilenceWatch({ ask: server.ask, isAnswer: () => false, quietMs: 100, answerMs: 200 })
  await expect(watch.answerOf(never)).rejects.toThrow(DatabaseSilent)
  server.answers(true)
  expect(
    await waitFor(async () => await watch.answerOf(async () => await Promise.resolve('back')), { what: 'an answer' }),
  ).toBe('back')
  server.answers(false)
  await expect(watch.answerOf(never)).rejects.toThrow(DatabaseSilent)
  expect(server.waitedMs[1]).toBeGreaterThanOrEqual(390)
  watch.stop()
})

// Goal: a process that was held up does not take its own sleep for the silence of the server.
test('time in which this process did nothing does not count', async () => {
  const server = createServer()
  const watch = createSilenceWatch({ ask: server.ask, isAnswer: () => false, quietMs: 200, answerMs: 400 })
  const told = watch.answerOf(never)
  const from = performance.now()
  await new Promise((resolve) => setTimeout(resolve, 250))
  const heldUpUntil = performance.now() + 1000
  while (performance.now() < heldUpUntil) Math.sqrt(2) // nobody reads answers meanwhile
  expect(server.waitedMs).toEqual([])
  await expect(told).rejects.toThrow(DatabaseSilent)
  expect(performance.now() - from).toBeGreaterThan(1400)
  watch.stop()
})
