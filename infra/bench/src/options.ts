import { parseArgs } from 'node:util'
import { ENTRIES } from './entries.ts'
import type { Entry } from './entries.ts'
import { WORKLOAD_NAMES } from './workloads.ts'
import type { WorkloadName } from './workloads.ts'

export interface Options {
  readonly entries: readonly Entry[]
  readonly workloads: readonly WorkloadName[]
  readonly rounds: number
  readonly share: number
  /** Where results go; undefined for nowhere. */
  readonly out: string | undefined
  /** After so many minutes it stops, whatever is missing. */
  readonly minutes: number
}

export const USAGE = `npm run bench:peers -- [--only ID,…] [--workloads P1,…] [--rounds 3] [--share 1] [--minutes 45] [--out FOLDER]
  --only       ${ENTRIES.map(({ id }) => id).join(', ')}
  --workloads  ${WORKLOAD_NAMES.join(', ')}
  --share      of the usual number of missions, to try things out
  --out        writes latest.json and latest.svg there; a run of everything, in full, also goes to infra/bench`

/** @throws {TypeError} with words for the person who typed it */
export function readOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: 'string' },
      workloads: { type: 'string' },
      rounds: { type: 'string', default: '3' },
      share: { type: 'string', default: '1' },
      minutes: { type: 'string', default: '45' },
      out: { type: 'string' },
    },
  })
  return {
    entries: pick(ENTRIES, values.only, ({ id }) => id),
    workloads: pick(WORKLOAD_NAMES, values.workloads, (name) => name),
    rounds: number('--rounds', values.rounds, 1, 99),
    share: number('--share', values.share, 0.001, 100),
    minutes: number('--minutes', values.minutes, 1, 600),
    out: values.out,
  }
}

/** Everything, measured in full: what the README may tell. */
export const isComplete = ({ entries, workloads, rounds, share }: Options): boolean =>
  entries.length === ENTRIES.length && workloads.length === WORKLOAD_NAMES.length && rounds >= 3 && share >= 1

function pick<T>(all: readonly T[], given: string | undefined, nameOf: (one: T) => string): readonly T[] {
  if (given === undefined) return all
  const names = given.split(',')
  const unknown = names.filter((name) => !all.some((one) => nameOf(one) === name))
  if (unknown.length > 0)
    throw new TypeError(`there is no ${unknown.join(', ')}; known are ${all.map(nameOf).join(', ')}`)
  return all.filter((one) => names.includes(nameOf(one)))
}

function number(name: string, given: string, least: number, most: number): number {
  const value = Number(given)
  if (given.trim() === '' || !(value >= least && value <= most)) {
    throw new TypeError(`${name} must be a number from ${least} to ${most}`)
  }
  return value
}
