import { setTimeout as sleep } from 'node:timers/promises'
import { runContender } from './contender-process.ts'
import type { Entry } from './entries.ts'
import { versionOf } from './machine.ts'
import type { Options } from './options.ts'
import { gather } from './results.ts'
import type { Gathered } from './results.ts'
import { WORKLOADS } from './workloads.ts'

export interface Measured {
  readonly gathered: readonly Gathered[]
  /** One line for each contender that did not get through a round. */
  readonly failures: readonly string[]
}

/** Between two contenders, so that what the one has left to the disk does not fall to the next. */
const REST_MS = 2000

/**
 * Every contender once a round, each alone on servers of its own; each round begins with another, so that none is always measured
 * first or after the same neighbour.
 */
export async function measureRounds(
  { entries, workloads, rounds, share }: Options,
  signal: AbortSignal,
  log: (line: string) => void,
): Promise<Measured> {
  const gathered = new Map(entries.map((entry) => [entry.id, gather(entry, versionOf(entry.packageName))]))
  const failures: string[] = []
  for (let round = 0; round < rounds; round += 1) {
    for (const entry of rotated(entries, round)) {
      if (signal.aborted) return { gathered: [...gathered.values()], failures: [...failures, 'it was stopped early'] }
      const mine = gathered.get(entry.id) as Gathered
      try {
        await runContender({
          entry,
          share,
          workloads,
          signal,
          onSettings: (settings) => {
            mine.settings = settings
          },
          onFigure: (workload, figure) => {
            mine.runs[workload].push(figure)
            log(
              `${round + 1}/${rounds}  ${workload}  ${entry.label}: ${figure.toLocaleString('en')} ${WORKLOADS[workload].unit}`,
            )
          },
        })
      } catch (error) {
        failures.push(`round ${round + 1}: ${error instanceof Error ? error.message : String(error)}`)
        log(`${round + 1}/${rounds}  ${failures.at(-1)}`)
      }
      if (!signal.aborted) await sleep(REST_MS)
    }
  }
  return { gathered: [...gathered.values()], failures }
}

/** The same, begun `by` places later. */
export const rotated = (entries: readonly Entry[], by: number): readonly Entry[] => {
  const from = by % Math.max(1, entries.length)
  return [...entries.slice(from), ...entries.slice(0, from)]
}
