import { MUTANTS } from './mutants.ts'
import { runPool } from './pool.ts'
import type { Outcome } from './simulate.ts'

export interface SimOptions {
  /** The first seed, and how many. */
  from: number
  seeds: number
  /** Events of a seed, at least. */
  events: number
  workers: number
  /** Told of how many seeds are done. */
  onProgress?: (done: number) => void
}

export interface SimResult {
  seeds: number
  events: number
  /** Of the seed with the fewest. */
  eventsMin: number
  missions: number
  attempts: number
  /** Attempts whose agent was silent for too long. */
  leasesLost: number
  /** Statements that handed what they queued to claims that waited, and those that meant to and found the gate shut. */
  handed: number
  heldBack: number
  /** Statements that saved the end of a task without a look at it, and those that met a change and saved nothing. */
  unseen: number
  outdated: number
  violations: { seed: number; violation: string }[]
  /** Seeds that were run a second time, and those of them that took the same course to the last event. */
  repeated: number
  identical: number
  seconds: number
}

const REPEATED = 100
const VIOLATIONS_MAX = 20

/** Runs seeds; the first of them twice, to see that a seed decides everything. */
export async function runSeeds({ from, seeds, events, workers, onProgress }: SimOptions): Promise<SimResult> {
  const begun = performance.now()
  const digests = new Map<number, string>()
  const violations: SimResult['violations'] = []
  const sum = { events: 0, missions: 0, attempts: 0, leasesLost: 0, handed: 0, heldBack: 0, unseen: 0, outdated: 0 }
  let eventsMin = Number.POSITIVE_INFINITY
  let done = 0
  const list = Array.from({ length: seeds }, (_, index) => from + index)
  await runPool({
    seeds: list,
    events,
    workers,
    onOutcome(outcome) {
      done += 1
      if (digests.size < REPEATED && outcome.seed < from + REPEATED) digests.set(outcome.seed, digestOf(outcome))
      if (outcome.violation !== undefined) violations.push({ seed: outcome.seed, violation: outcome.violation })
      sum.events += outcome.events
      sum.missions += outcome.missions
      sum.attempts += outcome.attempts
      sum.leasesLost += outcome.lost
      sum.handed += outcome.handed
      sum.heldBack += outcome.heldBack
      sum.unseen += outcome.unseen
      sum.outdated += outcome.outdated
      eventsMin = Math.min(eventsMin, outcome.events)
      onProgress?.(done)
      return violations.length < VIOLATIONS_MAX
    },
  })
  let identical = 0
  await runPool({
    seeds: [...digests.keys()],
    events,
    workers,
    onOutcome(outcome) {
      if (digests.get(outcome.seed) === digestOf(outcome)) identical += 1
      return true
    },
  })
  const seconds = Math.round((performance.now() - begun) / 100) / 10
  return { seeds: done, ...sum, eventsMin, violations, repeated: digests.size, identical, seconds }
}

const digestOf = ({ digest, events }: Outcome): string => `${digest}/${events}`

/** The course of one seed, event by event. */
export async function traceSeed(seed: number, events: number): Promise<Outcome> {
  let found: Outcome | undefined
  await runPool({
    seeds: [seed],
    events,
    workers: 1,
    keepsTrace: true,
    onOutcome(outcome) {
      found = outcome
      return true
    },
  })
  if (found === undefined) throw new Error('the seed had no outcome')
  return found
}

export interface Caught {
  mutant: string
  about: string
  /** The seed that found it, and what was wrong; undefined when it survived. */
  seed: number | undefined
  violation: string | undefined
  seeds: number
}

/** Runs a mutant until a seed finds it. */
export async function huntMutant(
  name: string,
  { from, seeds, events, workers }: Omit<SimOptions, 'onProgress'>,
): Promise<Caught> {
  const mutant = MUTANTS.find((one) => one.name === name)
  if (mutant === undefined) throw new Error(`there is no mutant ${name}`)
  let first: Outcome | undefined
  let done = 0
  await runPool({
    seeds: Array.from({ length: seeds }, (_, index) => from + index),
    events,
    workers,
    mutant: name,
    onOutcome(outcome) {
      done += 1
      if (outcome.violation !== undefined) first = outcome
      return first === undefined
    },
  })
  return {
    mutant: name,
    about: mutant.about,
    seed: first?.seed,
    violation: first?.violation?.split('\n', 1)[0],
    seeds: done,
  }
}

export { MUTANTS }
