import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import type { Rig } from './rig.ts'

/** The value below which the share of the values lies; 0 of none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? 0
}

/** Numbers of one column `n`, of a statement about a time of the storm. */
export async function numbers({ database }: Pick<Rig, 'database'>, statement: string): Promise<number[]> {
  const { rows } = await sql.raw<{ n: number | null }>(statement).execute(database.db)
  return rows.flatMap(({ n }) => (n === null ? [] : [Number(n)]))
}

export async function count(rig: Pick<Rig, 'database'>, statement: string): Promise<number> {
  return (await numbers(rig, statement))[0] ?? 0
}

/** A moment of the wall clock, for a statement. */
export const at = (ms: number): string => `to_timestamp(${ms / 1000})`

/** Attempts that completed between two moments, for each second. */
export async function throughput(rig: Pick<Rig, 'database'>, fromMs: number, toMs: number): Promise<number> {
  const completed = await count(
    rig,
    `select count(*) as n from attempts where outcome = 'completed' and ended_at >= ${at(fromMs)} and ended_at < ${at(toMs)}`,
  )
  return (completed * 1000) / (toMs - fromMs)
}

/** Asks again and again until it is so; the time that it took, or undefined when it took too long. */
export async function timeUntil(isSo: () => Promise<boolean>, maxMs: number): Promise<number | undefined> {
  const from = performance.now()
  let last: string | undefined
  while (performance.now() - from < maxMs) {
    try {
      if (await isSo()) return Math.round(performance.now() - from)
    } catch (error) {
      last = error instanceof Error ? error.message : 'no answer' // what is asked may be what is broken
    }
    await sleep(50)
  }
  if (last !== undefined) process.stderr.write(`not so within ${maxMs} ms: ${last}\n`)
  return undefined
}
