import { createLoops } from '@hypercode/http'
import type { Loops } from '@hypercode/http'
import { createLogger, createMetrics } from '@hypercode/telemetry'
import { Writable } from 'node:stream'
import { expect, onTestFinished, test, vi } from 'vitest'

function setUp(): { loops: Loops; logs: string[]; render: () => Promise<string> } {
  const logs: string[] = []
  const destination = new Writable({
    write(chunk: Buffer, _encoding, done) {
      logs.push(chunk.toString())
      done()
    },
  })
  const metrics = createMetrics('loops-test', { processMetrics: false })
  const loops = createLoops({ log: createLogger({ service: 'loops-test', level: 'info', destination }), metrics })
  onTestFinished(() => loops.stop(100))
  return { loops, logs, render: metrics.render }
}

/** Until the end of the test. Called after `setUp`, so that the loops are stopped by the real clock again. */
function fakeClock(): void {
  vi.useFakeTimers()
  onTestFinished(() => void vi.useRealTimers())
}

test('a loop turns at once, and again after each pause', async () => {
  const { loops, render } = setUp()
  let turns = 0
  loops.start('sweep', {
    everyMs: 5,
    run: async () => {
      turns++
    },
  })
  await expect.poll(() => turns).toBeGreaterThan(3)
  expect(() => loops.check()).not.toThrow()
  expect(await render()).toMatch(/hypercode_loop_turns_total\{loop="sweep",.*\} [1-9]/)
})

test('a turn that throws is logged and counted, and the loop goes on', async () => {
  const { loops, logs, render } = setUp()
  let turns = 0
  loops.start('sweep', {
    everyMs: 1,
    run: async () => {
      if (++turns <= 2) throw new Error('no database')
    },
  })
  await expect.poll(() => turns).toBeGreaterThan(3)
  expect(logs.filter((line) => line.includes('no database'))).toHaveLength(2)
  expect(await render()).toMatch(/hypercode_loop_errors_total\{loop="sweep",.*\} 2/)
})

test('turns of one loop never overlap', async () => {
  const { loops } = setUp()
  let inside = 0
  let most = 0
  let turns = 0
  loops.start('slow', {
    everyMs: 1,
    run: async () => {
      most = Math.max(most, ++inside)
      await new Promise((resolve) => setTimeout(resolve, 10))
      inside--
      turns++
    },
  })
  await expect.poll(() => turns).toBeGreaterThan(3)
  expect(most).toBe(1)
})

// The clock is faked: what is tested is whether ten seconds and three periods are told apart.
test('the check names every critical loop that has finished no turn for three periods, at least ten seconds', async () => {
  const { loops } = setUp()
  fakeClock()
  let broken = false
  loops.start('quick', { everyMs: 100, jitter: 0, run: async () => {} })
  loops.start('hangs', { everyMs: 100, jitter: 0, run: () => (broken ? new Promise(() => {}) : Promise.resolve()) })
  loops.start('fails', {
    everyMs: 100,
    jitter: 0,
    run: () => (broken ? Promise.reject(new Error('x')) : Promise.resolve()),
  })
  loops.start('spare', {
    everyMs: 100,
    jitter: 0,
    critical: false,
    run: () => (broken ? Promise.reject(new Error('x')) : Promise.resolve()),
  })
  loops.start('patient', {
    everyMs: 60_000,
    jitter: 0,
    run: () => (broken ? new Promise(() => {}) : Promise.resolve()),
  })
  await vi.advanceTimersByTimeAsync(1000)
  expect(() => loops.check()).not.toThrow()
  broken = true
  await vi.advanceTimersByTimeAsync(9000)
  expect(() => loops.check()).not.toThrow()
  await vi.advanceTimersByTimeAsync(2000)
  expect(() => loops.check()).toThrow(/^no turn finished: hangs \(1\d s\), fails \(1\d s\)$/)
  await vi.advanceTimersByTimeAsync(180_000)
  expect(() => loops.check()).toThrow(/patient/)
  broken = false
  await vi.advanceTimersByTimeAsync(40_000)
  expect(() => loops.check()).toThrow(/^no turn finished: hangs \(\d+ s\), patient \(\d+ s\)$/)
})

test('failures are followed by longer pauses, up to half a minute', async () => {
  const { loops } = setUp()
  fakeClock()
  const at: number[] = []
  loops.start('fails', {
    everyMs: 1000,
    jitter: 0,
    run: () => {
      at.push(Date.now())
      return Promise.reject(new Error('x'))
    },
  })
  await vi.advanceTimersByTimeAsync(150_000)
  const pauses = at.slice(1).map((time, i) => time - (at[i] ?? 0))
  expect(pauses.slice(0, 7)).toEqual([2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000])
})

test('a loop may bound its pauses itself', async () => {
  const { loops } = setUp()
  fakeClock()
  let turns = 0
  loops.start('fails', {
    everyMs: 1000,
    jitter: 0,
    backoffMaxMs: 1000,
    run: () => {
      turns++
      return Promise.reject(new Error('x'))
    },
  })
  await vi.advanceTimersByTimeAsync(10_500)
  expect(turns).toBe(11)
})

test('stop aborts the signal and waits for the turn in flight', async () => {
  const { loops } = setUp()
  const log: string[] = []
  loops.start('slow', {
    everyMs: 1,
    run: async (signal) => {
      log.push('begun')
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
      await new Promise((resolve) => setTimeout(resolve, 20))
      log.push('ended')
    },
  })
  await expect.poll(() => log).toEqual(['begun'])
  await loops.stop()
  expect(log).toEqual(['begun', 'ended'])
  expect(() => loops.start('late', { everyMs: 1, run: async () => {} })).toThrow('stopped')
})

test('stop does not wait for ever', async () => {
  const { loops, logs } = setUp()
  loops.start('deaf', { everyMs: 1, run: () => new Promise(() => {}) })
  await loops.stop(20)
  expect(logs.join('')).toContain('a turn did not end')
})

test('a name is used once', async () => {
  const { loops } = setUp()
  loops.start('sweep', { everyMs: 1000, run: async () => {} })
  expect(() => loops.start('sweep', { everyMs: 1000, run: async () => {} })).toThrow('already')
})
