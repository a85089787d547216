import { setTimeout as sleep } from 'node:timers/promises'
import { setClocksRight, setClocksWrong } from '../clocks.ts'
import type { Goal, StormContext } from '../goal.ts'
import { crew } from '../load.ts'
import { at, count, numbers, percentile, timeUntil } from '../measure.ts'
import type { Rig } from '../rig.ts'

const FULL_S = 60
const FULL_TIMERS = 10_000
const PER_MISSION = 50
const LATE_P99_MS = 1500
const CAUGHT_UP_MAX_MS = 30_000

export const r14: Goal = {
  name: 'R14',
  about: 'timers; with everything away while they are due; with the clocks of the services five minutes wrong',
  bar: `late p99 <= ${LATE_P99_MS} ms, 0 early, after the outage all fired <= ${CAUGHT_UP_MAX_MS} ms`,
  minFaults: 2,
  run: async (context) => {
    const { rig, seconds, log } = context
    const forS = Math.min(FULL_S, seconds)
    const timers = Math.round((FULL_TIMERS * forS) / FULL_S)
    const calm = await lateness(context, 'calm', timers, [1, forS])
    // A tenth of them again, with everything away when they are due.
    const before = await outageTimers(context, Math.round(timers / 10), forS)
    const back = await outage(context, forS, before)
    log('the clocks of all services are wrong')
    await setClocksWrong(rig)
    const wrong = await lateness(context, 'wrong', Math.round(timers / 10), [1, forS / 2])
    await setClocksRight(rig)
    const [p99, wrongP99] = [Math.round(percentile(calm, 0.99)), Math.round(percentile(wrong, 0.99))]
    const early = await count(rig, `select count(*) as n from waits where kind = 'timer' and fired_at < fire_at`)
    return {
      figure: p99,
      unit: 'ms late, p99',
      ok:
        calm.length >= timers &&
        wrong.length > 0 &&
        Math.max(p99, wrongP99) <= LATE_P99_MS &&
        early === 0 &&
        (back.endedMs ?? Infinity) <= CAUGHT_UP_MAX_MS,
      faults: 2,
      inFlight: (back.due > 0 ? 1 : 0) + (wrong.length > 0 ? 1 : 0),
      more: { timers: calm.length, early, wrongClocksP99Ms: wrongP99, afterOutage: back },
    }
  },
}

type Range = readonly [lowS: number, highS: number]

const ALL_SET_MAX_MS = 60_000
/** Longer than it takes until all of them are set. */
const LEAD_S = 10

/** Sets timers and waits until all have fired: how late each of them was, in milliseconds of the database. */
async function lateness(context: StormContext, part: string, timers: number, forS: Range): Promise<number[]> {
  const { rig } = context
  const from = Date.now()
  await setTimers(context, part, timers, forS)
  await timeUntil(async () => (await openTimers(rig)) === 0, (forS[1] + 120) * 1000)
  return await numbers(
    rig,
    `select extract(epoch from fired_at - fire_at) * 1000 as n from waits where kind = 'timer' and created_at > ${at(from)}`,
  )
}

/** Timers that are due while everything is away; resolves when each of them is set, with the moment from which on they were. */
async function outageTimers(context: StormContext, timers: number, forS: number): Promise<number> {
  const { rig, log } = context
  const from = Date.now()
  await setTimers(context, 'outage', timers, [LEAD_S, Math.max(LEAD_S + 1, forS)])
  const set = `select count(*) as n from waits where kind = 'timer' and created_at > ${at(from)}`
  log(`timers are set after ${await timeUntil(async () => (await count(rig, set)) >= timers, ALL_SET_MAX_MS)} ms`)
  return from
}

/** After an outage, in milliseconds from the moment on at which all servers run again. */
interface Back {
  /** Timers that were due while everything was away. */
  readonly due: number
  /** The last of these has fired. */
  readonly firedMs: number
  /** Every handler has gone on, and every mission has ended: what the bar is for. */
  readonly endedMs: number | undefined
  readonly readyMs: number | undefined
  readonly firstClaimMs: number
}

/** Kills all servers for a while, with timers that were set from `setFrom` on. */
async function outage({ rig, log }: StormContext, forS: number, setFrom: number): Promise<Back> {
  log(`everything is away for ${Math.round(forS)} s`)
  const { servers } = rig.stack
  const gone = Date.now()
  for (const server of Object.values(servers)) await server.kill('SIGKILL')
  await sleep(forS * 1000)
  for (const name of ['postgres', 'pgbouncer', 'redis'] as const) await servers[name].restart()
  const back = Date.now()
  const ready = timeUntil(async () => await areReady(rig), 2 * CAUGHT_UP_MAX_MS)
  const endedMs = await timeUntil(async () => (await openTimers(rig)) === 0, 120_000)
  const fired = await numbers(
    rig,
    `select extract(epoch from fired_at - ${at(back)}) * 1000 as n from waits
      where kind = 'timer' and created_at > ${at(setFrom)} and fire_at between ${at(gone)} and ${at(back)}`,
  )
  const claims = await numbers(
    rig,
    `select extract(epoch from min(started_at) - ${at(back)}) * 1000 as n from attempts where started_at > ${at(back)}`,
  )
  return {
    due: fired.length,
    firedMs: Math.round(percentile(fired, 1)),
    endedMs,
    readyMs: await ready,
    firstClaimMs: Math.round(claims[0] ?? 0),
  }
}

async function areReady({ gateways, registries, orchestrators }: Rig): Promise<boolean> {
  const answers = await Promise.all(
    [...gateways, ...registries, ...orchestrators].map(async ({ url }) => await fetch(`${url}/readyz`)),
  )
  return answers.every(({ ok }) => ok)
}

async function setTimers(
  { rig, random, name }: StormContext,
  part: string,
  timers: number,
  [lowS, highS]: Range,
): Promise<void> {
  const retry = { maxAttempts: 20, initialInterval: '200ms', maxInterval: '2s' }
  const missions = Array.from({ length: Math.ceil(timers / PER_MISSION) }, (_, m) => {
    const tasks = Array.from({ length: PER_MISSION }, (_, n) => {
      const sleepMs = Math.round(random.between(lowS * 1000, highS * 1000))
      return { id: `t${n}`, member: 'worker', input: { sleepMs }, retry }
    })
    return { key: `${name}-${part}-${m}`, manifest: crew('timers', tasks) }
  })
  await Promise.all(
    missions.map(async ({ key, manifest }) => await rig.client.submit(key, manifest, performance.now() + 60_000)),
  )
}

const openTimers = async (rig: Rig): Promise<number> =>
  await count(rig, `select count(*) as n from missions where crew = 'timers' and ended_at is null`)
