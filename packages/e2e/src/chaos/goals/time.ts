import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import type { SinkRecord } from '../../checker/effects.ts'
import { readJsonLines } from '../../checker/json-lines.ts'
import { setClocksRight, setClocksWrong } from '../clocks.ts'
import type { Goal, StormContext } from '../goal.ts'
import { crew, oneTask, startLoad } from '../load.ts'
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
    const calm = await lateness(context, 'calm', timers, forS)
    // A tenth of them again, with everything away when they are due.
    await setTimers(context, 'outage', Math.round(timers / 10), forS / 2)
    const caughtUpMs = await outage(context, forS)
    log('the clocks of all services are wrong')
    await setClocksWrong(rig)
    const wrong = await lateness(context, 'wrong', Math.round(timers / 10), forS / 2)
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
        (caughtUpMs ?? Infinity) <= CAUGHT_UP_MAX_MS,
      faults: 2,
      inFlight: 2,
      more: { timers: calm.length, early, afterOutageMs: caughtUpMs ?? null, wrongClocksP99Ms: wrongP99 },
    }
  },
}

/** Sets timers and waits until all have fired: how late each of them was, in milliseconds of the database. */
async function lateness(context: StormContext, part: string, timers: number, forS: number): Promise<number[]> {
  const { rig } = context
  const from = Date.now()
  await setTimers(context, part, timers, forS)
  await timeUntil(async () => (await openTimers(rig)) === 0, (forS + 120) * 1000)
  return await numbers(
    rig,
    `select extract(epoch from fired_at - fire_at) * 1000 as n from waits where kind = 'timer' and created_at > ${at(from)}`,
  )
}

/** Kills all servers for a while; the time from then until every timer has fired. */
async function outage({ rig, log }: StormContext, forS: number): Promise<number | undefined> {
  log(`everything is away for ${Math.round(forS)} s`)
  const { servers } = rig.stack
  for (const server of Object.values(servers)) await server.kill('SIGKILL')
  await sleep(forS * 1000)
  for (const name of ['postgres', 'pgbouncer', 'redis'] as const) await servers[name].restart()
  return await timeUntil(async () => (await openTimers(rig)) === 0, 120_000)
}

async function setTimers(
  { rig, random, name }: StormContext,
  part: string,
  timers: number,
  forS: number,
): Promise<void> {
  const retry = { maxAttempts: 20, initialInterval: '200ms', maxInterval: '2s' }
  const missions = Array.from({ length: Math.ceil(timers / PER_MISSION) }, (_, m) => {
    const tasks = Array.from({ length: PER_MISSION }, (_, n) => {
      const sleepMs = Math.round(random.between(1000, forS * 1000))
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

const TOLD_P99_MS = 1000
const EFFECT_GRACE_MS = 1000
const FULL_CANCELS = 2000
const CANCELS_PER_S_MAX = 33

interface Note {
  missionId: string
  reason: string
  atMs: number
}

export const r15: Goal = {
  name: 'R15',
  about: 'cancels at random moments, against completion',
  bar: `one outcome each, agent told p99 <= ${TOLD_P99_MS} ms, no effect begun > ${EFFECT_GRACE_MS} ms after the cancel`,
  minFaults: 20,
  keepsStreams: true,
  run: async ({ rig, random, seconds, name }) => {
    const load = startLoad(rig, {
      name,
      perSecond: Math.min(CANCELS_PER_S_MAX, FULL_CANCELS / seconds),
      cancelShare: 1,
      random,
      manifest: () => oneTask({ waitMs: Math.round(random.between(0, 4000)), effects: ['keyed', 'plain'] }),
    })
    await sleep(seconds * 1000)
    await load.stop()
    await sleep(3000)
    const acked = new Map(
      rig.client.records
        .filter(({ op, phase }) => op === 'cancel' && phase === 'ok')
        .map(({ missionId, atMs }) => [missionId ?? '', atMs]),
    )
    const told = readNotes(rig.files.notes).flatMap(({ missionId, reason, atMs }) => {
      const ackedAtMs = acked.get(missionId)
      return reason === 'canceled' && ackedAtMs !== undefined ? [Math.max(0, atMs - ackedAtMs)] : []
    })
    const late = await lateEffects(rig, acked)
    const p99 = Math.round(percentile(told, 0.99))
    return {
      figure: p99,
      unit: 'ms until the agent was told, p99',
      ok: p99 <= TOLD_P99_MS && late === 0 && told.length > 0,
      faults: acked.size,
      inFlight: told.length,
      more: { cancels: acked.size, told: told.length, lateEffects: late },
    }
  },
}

function readNotes(file: string): Note[] {
  const lines = readFileSync(file, 'utf8').split('\n').filter(Boolean)
  return lines.map((line) => JSON.parse(line) as Note)
}

async function lateEffects(rig: Rig, acked: ReadonlyMap<string, number>): Promise<number> {
  const { rows } = await sql<{ id: string; mission: string }>`
    select id, mission_id as mission from tasks where mission_id = any (${[...acked.keys()]}::uuid[])`.execute(
    rig.database.db,
  )
  const missionOf = new Map(rows.map(({ id, mission }) => [id, mission]))
  return readJsonLines<SinkRecord>(rig.files.sink).filter(({ taskId, intentAtMs }) => {
    const ackedAtMs = acked.get(missionOf.get(taskId) ?? '')
    return ackedAtMs !== undefined && intentAtMs > ackedAtMs + EFFECT_GRACE_MS
  }).length
}
