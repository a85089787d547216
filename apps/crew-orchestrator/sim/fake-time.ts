import type { Random } from './random.ts'
import type { Scheduler } from './scheduler.ts'

/** Any instant will do; ids begin with it. */
export const EPOCH_MS = Date.UTC(2026, 0, 1)
/** How far clocks of processes are apart, at most. */
const SKEW_MS = 30_000

interface FakeTimer {
  cancel(): void
  ref(): FakeTimer
  unref(): FakeTimer
}

/**
 * Gives the thread's clock, timers and random numbers to a simulation; answers how to take them back. `Date.now` is off by another amount
 * each time, as if each caller had a clock of its own.
 */
export function installTime(scheduler: Scheduler, random: Random): () => void {
  const before = {
    setTimeout: globalThis.setTimeout,
    clearTimeout: globalThis.clearTimeout,
    dateNow: Date.now,
    performanceNow: performance.now.bind(performance),
    random: Math.random,
  }
  const setTimer = (act: () => void, delayMs = 0): FakeTimer => {
    const entry = scheduler.at(delayMs, 'timer', act)
    const timer: FakeTimer = { cancel: () => entry.cancel(), ref: () => timer, unref: () => timer }
    return timer
  }
  const clearTimer = (timer: FakeTimer | undefined): void => timer?.cancel()
  Object.assign(globalThis, { setTimeout: setTimer, clearTimeout: clearTimer })
  Date.now = () => EPOCH_MS + Math.floor(scheduler.now + (random.next() - 0.5) * SKEW_MS)
  performance.now = () => scheduler.now
  Math.random = () => random.next()
  return () => {
    Object.assign(globalThis, { setTimeout: before.setTimeout, clearTimeout: before.clearTimeout })
    Date.now = before.dateNow
    performance.now = before.performanceNow
    Math.random = before.random
  }
}
