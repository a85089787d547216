/**
 * When a schedule begins a mission. Nothing here reads a clock: the database says what time it is, and two who decide about the same
 * instant come to the same.
 */
import { createHash } from 'node:crypto'
import { durationMs } from '@hypercode/contracts'
import type { ScheduleSpec } from '@hypercode/contracts'
import { Cron } from 'croner'

/** Less than this could be missed by a turn of the loop that comes late. */
const CATCH_UP_MIN_MS = 10_000
const CATCH_UP_DEFAULT_MS = 60_000

/** The instants of a cron expression in a time zone, or why it has none. */
export type Calendar = { next: (after: Date) => Date } | { fault: 'cron' | 'timeZone'; message: string }

/**
 * Clocks that are put forward: an instant in the gap comes at its end. Clocks that are put back: an instant that the day has twice comes
 * once, the first time; what is to come every hour or oftener comes all the time.
 */
export function calendarOf({ cron, timeZone = 'UTC' }: Pick<ScheduleSpec, 'cron' | 'timeZone'>): Calendar {
  try {
    new Intl.DateTimeFormat('en', { timeZone })
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    return { fault: 'timeZone', message: `there is no time zone "${timeZone}"` }
  }
  let pattern: Cron
  try {
    pattern = new Cron(cron, { timezone: timeZone, paused: true, mode: '5-part', domAndDow: false })
  } catch (error) {
    return {
      fault: 'cron',
      message: error instanceof Error ? error.message.replace(/^CronPattern: /, '') : 'is no cron expression',
    }
  }
  if (pattern.nextRun(new Date(0)) === null) return { fault: 'cron', message: 'has no instant at all' }
  return {
    next: (after) => {
      const next = pattern.nextRun(after)
      if (next === null) throw new RangeError(`${cron} has no instant after ${after.toISOString()}`)
      return next
    },
  }
}

/** When an instant is due: put off by a part of the jitter that only the schedule and the instant decide. */
export function dueAt(id: string, instant: Date, { jitter }: Pick<ScheduleSpec, 'jitter'>): Date {
  if (jitter === undefined) return instant
  const dice = createHash('sha256').update(`${id}/${instant.toISOString()}`).digest().readUInt32BE() / 2 ** 32
  return new Date(instant.getTime() + Math.floor(dice * durationMs(jitter)))
}

export interface ScheduleFacts {
  spec: ScheduleSpec
  /** By the clock of the database. */
  now: Date
  nextAt: Date
  fireAt: Date
  bufferedAt: Date | null
  /** The mission that it began last is still open. */
  isBusy: boolean
}

export interface Firing {
  /** The instant for which a mission begins now. */
  start: Date | null
  /** Cancel the mission before. */
  cancel: boolean
  bufferedAt: Date | null
  nextAt: Date
  skipped: boolean
}

/** What is to be done about a schedule now; one instant at a time. */
export function decideFiring(facts: ScheduleFacts, next: (after: Date) => Date): Firing {
  const { spec, now, nextAt, fireAt, bufferedAt, isBusy } = facts
  const nothing: Firing = { start: null, cancel: false, bufferedAt, nextAt, skipped: false }
  // What waited goes before what is due now, which the next look finds.
  if (bufferedAt !== null && !isBusy) return { ...nothing, start: bufferedAt, bufferedAt: null }
  if (fireAt > now) return nothing
  const catchUpMs = Math.max(
    CATCH_UP_MIN_MS,
    spec.catchUp === undefined ? CATCH_UP_DEFAULT_MS : durationMs(spec.catchUp),
  )
  if (now.getTime() - fireAt.getTime() > catchUpMs) {
    const jitterMs = spec.jitter === undefined ? 0 : durationMs(spec.jitter)
    const reach = new Date(now.getTime() - catchUpMs - jitterMs)
    return { ...nothing, skipped: true, nextAt: next(reach > nextAt ? reach : nextAt) }
  }
  const onward = { ...nothing, nextAt: next(nextAt) }
  if (!isBusy || spec.overlap === 'allowAll') return { ...onward, start: nextAt }
  if (spec.overlap === 'cancelOther') return { ...onward, start: nextAt, cancel: true }
  if (spec.overlap === 'bufferOne' && bufferedAt === null) return { ...onward, bufferedAt: nextAt }
  return { ...onward, skipped: true }
}
