import { openDatabase } from '@hypercode/db'
import type { DatabaseHandle, Db } from '@hypercode/db'
import { ROUTES } from '@hypercode/contracts'
import type { Mission } from '@hypercode/contracts'
import { startCosts } from './costs.ts'
import { CHAIN, FAN, FAN_TASKS, SINGLE } from './crews.ts'
import type { Rig } from './rig.ts'
import { median, percentile, runConcurrently } from './statistics.ts'

/** One measured figure. `more` is what helps to read it, the costs of each process among it. */
export interface Measured {
  figure: number
  unit: string
  more: Record<string, number>
}

const PAYLOAD = 'x'.repeat(200)
const ROUNDS = 3
/** Missions that one request may submit. */
const BATCH_MAX = 1000

/** P1: missions of one task, submitted at once in bulk, until the last result is durable. Tasks per second, median of 3. */
export async function p1(rig: Rig, missions = 5000): Promise<Measured> {
  await rig.platform.client.call(ROUTES.createCrew, { body: SINGLE as never })
  const watch = openWatch(rig)
  try {
    const rates: number[] = []
    // The first round warms code and caches up, and grows the tables.
    await burst(rig, watch.db, missions)
    const costs = startCosts()
    for (let round = 0; round < ROUNDS; round += 1) {
      const startedAt = performance.now()
      await burst(rig, watch.db, missions)
      rates.push(missions / ((performance.now() - startedAt) / 1000))
    }
    return {
      figure: Math.round(median(rates)),
      unit: 'tasks/s',
      more: { min: Math.round(Math.min(...rates)), max: Math.round(Math.max(...rates)), ...costs(missions * ROUNDS) },
    }
  } finally {
    await watch.close()
  }
}

/**
 * P2: one mission in flight, from the submit until the submitter knows the result. Milliseconds at the median, of services that have
 * been at work for a while: V8 needs some thousand requests to compile what a request runs (the first 400 missions take twice as long).
 */
export async function p2(rig: Rig, missions = 300): Promise<Measured> {
  await rig.platform.client.call(ROUTES.createCrew, { body: SINGLE as never })
  await runConcurrently(4000, 32, async () => runToEnd(rig, 'bench-single'))
  const times: number[] = []
  const costs = startCosts()
  for (let n = 0; n < missions; n += 1) {
    const startedAt = performance.now()
    await runToEnd(rig, 'bench-single')
    times.push(performance.now() - startedAt)
  }
  return {
    figure: round2(median(times)),
    unit: 'ms p50',
    more: { p99: round2(percentile(times, 0.99)), ...costs(missions) },
  }
}

/** P3: chains of three tasks, 200 of 1,000 in flight. Missions per second. */
export async function p3(rig: Rig, missions = 1000): Promise<Measured> {
  await rig.platform.client.call(ROUTES.createCrew, { body: CHAIN as never })
  await runConcurrently(200, 200, async () => runToEnd(rig, 'bench-chain'))
  const costs = startCosts()
  const startedAt = performance.now()
  await runConcurrently(missions, 200, async () => runToEnd(rig, 'bench-chain'))
  const perSecond = missions / ((performance.now() - startedAt) / 1000)
  return { figure: Math.round(perSecond), unit: 'missions/s', more: costs(missions) }
}

/** P4: one task, then 100 side by side, then one that joins them; 4 missions in flight. Tasks per second. */
export async function p4(rig: Rig, missions = 60): Promise<Measured> {
  await rig.platform.client.call(ROUTES.createCrew, { body: FAN as never })
  await runConcurrently(8, 4, async () => runToEnd(rig, 'bench-fan'))
  const costs = startCosts()
  const startedAt = performance.now()
  await runConcurrently(missions, 4, async () => runToEnd(rig, 'bench-fan'))
  const perSecond = (missions * FAN_TASKS) / ((performance.now() - startedAt) / 1000)
  return { figure: Math.round(perSecond), unit: 'tasks/s', more: costs(missions * FAN_TASKS) }
}

/**
 * A look at the tables from outside, so that the watching costs the services nothing, and next to nothing the machine: by its statistics
 * Postgres took to reading all missions for each look, 2.7 ms instead of 0.06, which was a fifth of all that it did in P1.
 */
export const openWatch = ({ platform }: Rig): DatabaseHandle =>
  openDatabase({
    url: `${platform.stack.directDatabaseUrl}?options=-c%20enable_seqscan%3Doff`,
    poolMax: 1,
    applicationName: 'bench-watch',
    onIdleError: () => undefined,
  })

/** Submits missions of SINGLE in bulk and waits until the last one has ended. */
export async function burst(rig: Rig, watch: Db, missions: number): Promise<void> {
  await submitBulk(rig, 'bench-single', missions)
  await untilAllEnded(watch)
}

/** Submits missions of a crew in as few requests as may be. */
export async function submitBulk({ platform }: Rig, crew: string, missions: number): Promise<void> {
  const sizes = Array.from({ length: Math.ceil(missions / BATCH_MAX) }, (_, index) =>
    Math.min(BATCH_MAX, missions - index * BATCH_MAX),
  )
  await Promise.all(
    sizes.map(async (size) => {
      const one = { crew, input: { payload: PAYLOAD } }
      const { body } = await platform.client.call(ROUTES.submitMissions, {
        body: { missions: Array.from({ length: size }, () => one) },
        timeoutMs: 60_000,
      })
      const refused = body.results.find(({ problem }) => problem !== undefined)
      if (refused !== undefined) throw new Error(`a mission was refused: ${refused.problem?.detail ?? ''}`)
    }),
  )
}

/** Submits a mission and waits for its result with the same request. */
export async function runToEnd({ platform }: Rig, crew: string): Promise<Mission> {
  const { body } = await platform.client.call(ROUTES.submitMission, {
    body: { crew, input: { payload: PAYLOAD } },
    headers: { prefer: 'wait=30' },
    timeoutMs: 40_000,
  })
  if (body.state !== 'completed') throw new Error(`a mission of ${crew} is ${body.state}`)
  return body
}

const WATCH_EVERY_MS = 10

async function untilAllEnded(db: Db): Promise<void> {
  for (;;) {
    const open = await db.selectFrom('missions').select('id').where('ended_at', 'is', null).limit(1).executeTakeFirst()
    if (open === undefined) return
    await new Promise((resolve) => setTimeout(resolve, WATCH_EVERY_MS))
  }
}

const round2 = (value: number): number => Math.round(value * 100) / 100
