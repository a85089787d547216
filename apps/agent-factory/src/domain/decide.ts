/**
 * What to do about one instance now. Pure: it sees the row, what the driver says of its process, and what the registry says of its agent.
 *
 * D1 A process is started only when no launch is written, and given up only when the driver says that it has ended.
 * D2 A process that nobody may need any more is ended, in whatever state its row is.
 * D3 `unknown` decides nothing: a driver that cannot be asked costs time, never a healthy agent.
 */
import { crashBecause, crashOf } from './crashes.ts'
import type { CrashDraft } from './crashes.ts'
import type { Status } from '../drivers/driver.ts'
import type { FactoryInstance, Vitals } from './factory-instance.ts'

export type Decision =
  | { readonly do: 'wait' }
  | { readonly do: 'launch' }
  /** A launch was written and its start was not heard of: go on with it. */
  | { readonly do: 'adopt' }
  /** Its first passing beat since the start. */
  | { readonly do: 'pass' }
  /** Drain it and end its process. */
  | { readonly do: 'stop' }
  | { readonly do: 'kill' }
  /** Kill it, and count that as a crash. */
  | { readonly do: 'replace'; readonly crash: CrashDraft }
  /** Its process has ended by itself. */
  | { readonly do: 'crashed'; readonly crash: CrashDraft }
  /** Its process has ended because we wanted it to. */
  | { readonly do: 'ended' }
  /** Nothing of it runs and nothing shall. */
  | { readonly do: 'bury' }

/** What is true of the whole factory at the moment. */
export interface Weather {
  /** Agents have been able to reach the platform for long enough that silence is their own. */
  readonly canJudgeSilence: boolean
}

export function decide(instance: FactoryInstance, status: Status, weather: Weather): Decision {
  if (instance.launchId === null) return withoutLaunch(instance)
  if (instance.handle === null) return { do: 'adopt' }
  if (status.state === 'unknown') return { do: 'wait' }
  return status.state === 'ended' ? afterEnd(instance, status) : whileRunning(instance, weather)
}

function withoutLaunch({ desired, lifecycle, dueInMs }: FactoryInstance): Decision {
  if (desired === 'stopped') return { do: 'bury' }
  if (desired === 'hibernating' || lifecycle === 'quarantined' || dueInMs > 0) return { do: 'wait' }
  return { do: 'launch' }
}

/** It was put to sleep, and its process may still be on its way out; a start that wakes it has a time. */
const isAsleep = ({ lifecycle, sinceStartMs }: FactoryInstance): boolean =>
  lifecycle === 'hibernating' && sinceStartMs === null

/** Its row has moved on already: whatever is left of its process goes. */
const isGivenUp = ({ lifecycle }: FactoryInstance): boolean =>
  ['unhealthy', 'failed', 'stopped', 'reaped', 'quarantined'].includes(lifecycle)

function afterEnd(instance: FactoryInstance, { exit }: Extract<Status, { state: 'ended' }>): Decision {
  const isExpected = instance.lifecycle === 'draining' || isAsleep(instance) || isGivenUp(instance)
  return isExpected ? { do: 'ended' } : { do: 'crashed', crash: crashOf(exit) }
}

function whileRunning(instance: FactoryInstance, { canJudgeSilence }: Weather): Decision {
  if (isGivenUp(instance)) return { do: 'kill' }
  if (instance.lifecycle === 'draining' || isAsleep(instance) || instance.desired === 'stopped') return { do: 'stop' }
  const { vitals, recipe } = instance
  if (!instance.isReady) return whileStarting(instance)
  if (vitals === undefined) return { do: 'wait' }
  // While its beats stay away, the last one says nothing about now.
  if (vitals.isBeating && vitals.loopLagMs > recipe.hungAfterMs) {
    const crash = crashBecause('hung', `Its main thread did not turn for ${vitals.loopLagMs} ms.`)
    return { do: 'replace', crash }
  }
  if (canJudgeSilence && isSilent(vitals)) {
    return { do: 'replace', crash: crashBecause('silent', 'Its process runs, and its lease has run out.') }
  }
  return { do: 'wait' }
}

const isSilent = ({ health, isBeating }: Vitals): boolean => health === 'critical' && !isBeating

function whileStarting({ vitals, sinceStartMs, recipe }: FactoryInstance): Decision {
  if (vitals?.health === 'passing' && vitals.isBeating) return { do: 'pass' }
  if ((sinceStartMs ?? 0) <= recipe.readyWithinMs) return { do: 'wait' }
  const how = vitals === undefined ? 'It did not register' : 'It registered and did not beat'
  return { do: 'replace', crash: crashBecause('not_ready', `${how} within ${recipe.readyWithinMs / 1000} s.`) }
}
