import { truncateSync, readdirSync, rmSync, statSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { openRedis } from '@hypercode/events'
import { complaintsSince } from '../complaints.ts'
import type { Goal, StormContext, StormResult } from '../goal.ts'
import { startLoad } from '../load.ts'
import { at, count, numbers, percentile, throughput, timeUntil } from '../measure.ts'
import type { Rig } from '../rig.ts'

const CLAIM_MAX_MS = 5000
const CAUGHT_UP_MAX_MS = 10_000
const CUT_BYTES = 3000
const LOSSES_MIN = 20
/** Of each replica. */
const ERRORS_PER_S_MAX = 1

/** There are no consumer groups and there is no replica here, so of the five losses these three can happen, and Redis killed alone. */
const LOSSES: readonly [name: string, lose: (rig: Rig) => Promise<void>][] = [
  ['flushall', flushAll],
  ['files-deleted', async (rig) => await restartWithout(rig, (file) => rmSync(file, { force: true }))],
  ['tail-cut', async (rig) => await restartWithout(rig, cutTail)],
]

export const r3: Goal = {
  name: 'R3',
  about: 'Redis loses everything: FLUSHALL, its files, the tail of its log',
  bar: `claims go on <= ${CLAIM_MAX_MS} ms, hints caught up <= ${CAUGHT_UP_MAX_MS} ms, no restart, <= ${ERRORS_PER_S_MAX} error line/s, 0 violations`,
  minFaults: LOSSES_MIN,
  run: async ({ rig, random, seconds, name, log }) => {
    const fromMs = Date.now()
    const load = startLoad(rig, { name, perSecond: 10, random })
    const services = [...rig.gateways, ...rig.registries, ...rig.orchestrators]
    const before = services.map(({ pid }) => pid)
    const claimMs: number[] = []
    const caughtUpMs: number[] = []
    let inFlight = 0
    const pauseMs = Math.max(500, (seconds * 1000) / LOSSES_MIN - 500)
    await timeUntil(async () => load.open > 0, 10_000)
    for (let n = 0; n < LOSSES_MIN + 1; n += 1) {
      const [what, lose] = LOSSES[n % LOSSES.length] as (typeof LOSSES)[number]
      if (load.open > 0) inFlight += 1
      await lose(rig)
      const lostAt = Date.now()
      log(`${what}, ${load.open} missions open`)
      const claimed = `select count(*) as n from attempts where started_at > ${at(lostAt)}`
      const overdue = `select count(*) as n from outbox where next_try_at < ${at(lostAt)}`
      claimMs.push((await timeUntil(async () => (await count(rig, claimed)) > 0, 60_000)) ?? 60_000)
      caughtUpMs.push((await timeUntil(async () => (await count(rig, overdue)) === 0, 60_000)) ?? 60_000)
      await sleep(pauseMs)
    }
    await load.stop()
    const restarts = services.filter(({ pid }, n) => pid !== before[n]).length
    const { errorsPerS } = complaintsSince(rig, fromMs)
    const [claimWorst, caughtUpWorst] = [Math.max(...claimMs), Math.max(...caughtUpMs)]
    return {
      figure: claimWorst,
      unit: 'ms to the first claim, worst',
      ok:
        claimWorst <= CLAIM_MAX_MS &&
        caughtUpWorst <= CAUGHT_UP_MAX_MS &&
        restarts === 0 &&
        errorsPerS <= ERRORS_PER_S_MAX,
      faults: LOSSES_MIN + 1,
      inFlight,
      more: {
        caughtUpWorstMs: caughtUpWorst,
        restarts,
        errorsPerS: Math.round(errorsPerS * 100) / 100,
        notApplicable: 'XGROUP DESTROY, promoted replica',
      },
    }
  },
}

const SHARE_MIN = 0.5
const CLAIM_P99_MS = 3000

export const r4: Goal = {
  name: 'R4',
  about: 'Redis is absent',
  bar: `throughput >= ${SHARE_MIN} of normal, claim p99 <= ${CLAIM_P99_MS} ms, submits acknowledged, settled <= 60 s with all hints sent`,
  minFaults: 1,
  settleMaxMs: 60_000,
  run: async (context) => await withoutRedis(context),
}

async function withoutRedis({ rig, random, seconds, name, log }: StormContext): Promise<StormResult> {
  const load = startLoad(rig, { name, perSecond: 10, random })
  const partMs = (seconds * 1000) / 2
  await sleep(3000)
  const normalFrom = Date.now()
  await sleep(partMs)
  const goneFrom = Date.now()
  const inFlight = load.open > 0 ? 1 : 0
  const { redis } = rig.stack.servers
  await redis.kill('SIGKILL')
  log('Redis is stopped')
  await sleep(partMs)
  const goneTo = Date.now()
  await redis.restart()
  await load.stop()
  const normal = await throughput(rig, normalFrom, goneFrom)
  const without = await throughput(rig, goneFrom, goneTo)
  const latencies = await numbers(
    rig,
    // By mission: events have no index by task, and ten minutes of them are too many to read for each attempt.
    `select extract(epoch from a.started_at - q.at) * 1000 as n from attempts a join tasks t on t.id = a.task_id join lateral (
      select max(e.at) as at from mission_events e
      where e.mission_id = t.mission_id and e.task_id = a.task_id and e.type = 'task.queued' and e.at <= a.started_at) q on true
      where a.started_at between ${at(goneFrom)} and ${at(goneTo)}`,
  )
  const p99 = Math.round(percentile(latencies, 0.99))
  const share = normal === 0 ? 0 : without / normal
  return {
    figure: Math.round(share * 100) / 100,
    unit: 'of normal throughput',
    ok: share >= SHARE_MIN && p99 <= CLAIM_P99_MS,
    faults: 1,
    inFlight,
    more: { claimP99Ms: p99, normalPerS: Math.round(normal), withoutPerS: Math.round(without) },
  }
}

async function flushAll(rig: Rig): Promise<void> {
  const redis = openRedis({ url: rig.stack.redisUrl, role: 'reader', onError: () => undefined })
  try {
    await redis.flushall()
  } finally {
    redis.disconnect()
  }
}

async function restartWithout({ stack, folder }: Rig, change: (file: string) => void): Promise<void> {
  const { redis } = stack.servers
  await redis.kill('SIGKILL')
  await redis.waitGone(5000)
  const appended = path.join(folder, 'redis', 'appendonlydir')
  for (const name of readdirSync(appended)) change(path.join(appended, name))
  await redis.restart()
}

/** What a machine that loses its power takes from a log that is synced once a second. The manifest beside it is synced at once. */
function cutTail(file: string): void {
  if (file.endsWith('.incr.aof')) truncateSync(file, Math.max(0, statSync(file).size - CUT_BYTES))
}
