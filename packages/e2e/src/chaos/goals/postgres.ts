import { setTimeout as sleep } from 'node:timers/promises'
import { signalTree } from '@hypercode/testkit/tools'
import type { Goal, StormContext, StormResult } from '../goal.ts'
import { oneTask, startLoad } from '../load.ts'
import { at, count, throughput, timeUntil } from '../measure.ts'

const RED_MAX_MS = 2000
const ANSWER_MAX_MS = 2000
const BACK_MAX_MS = 5000
const SHARE_MIN = 0.9
const NORMAL_MS = 15_000
const FULL_OUTAGE_S = 30
const DISK_FULL = 'the disk of Postgres is full'

interface Outage {
  readonly what: string
  readonly begin: () => Promise<void>
  readonly end: () => Promise<void>
}
interface Seen {
  readonly what: string
  /** Undefined for a full disk: reads go on there, and what counts are the answers to writes. */
  readonly redMs: number | undefined
  readonly slowestMs: number
  readonly statuses: Readonly<Record<string, number>>
  readonly withoutRetryAfter: number
  readonly backMs: number | undefined
  /** Of the throughput before the first outage, from the time on when all must be as before. */
  readonly share: number
}

export const r5: Goal = {
  name: 'R5',
  about: 'Postgres is down, frozen, and its disk is full',
  bar: `red <= ${RED_MAX_MS} ms, writes 503 with Retry-After <= ${ANSWER_MAX_MS} ms, no crash, >= ${SHARE_MIN} of normal throughput <= ${BACK_MAX_MS} ms after`,
  minFaults: 2,
  run: async (context) => {
    const { rig, random, seconds, name, log } = context
    const load = startLoad(rig, { name, perSecond: 5, random })
    const outages = outagesOf(context)
    const pids = [...rig.gateways, ...rig.orchestrators, ...rig.registries]
    const before = pids.map(({ pid }) => pid)
    const seen: Seen[] = []
    let inFlight = 0
    await timeUntil(async () => load.open > 0, 10_000)
    const normalFrom = Date.now()
    await sleep(NORMAL_MS)
    const normal = await throughput(rig, normalFrom, Date.now())
    for (const outage of outages) {
      await timeUntil(async () => load.open > 0, 10_000)
      inFlight += load.open > 0 ? 1 : 0
      log(`${outage.what}, ${load.open} missions open`)
      seen.push(await suffer(context, outage, Math.min(FULL_OUTAGE_S, seconds / outages.length), normal))
    }
    await load.stop()
    const crashes = pids.filter(({ pid, running }, n) => pid !== before[n] || !running).length
    const slowest = Math.max(...seen.map(({ slowestMs }) => slowestMs))
    const isGood = (one: Seen): boolean =>
      (one.what === DISK_FULL || (one.redMs ?? Infinity) <= RED_MAX_MS) &&
      one.slowestMs <= ANSWER_MAX_MS &&
      one.withoutRetryAfter === 0 &&
      (one.backMs ?? Infinity) <= BACK_MAX_MS &&
      one.share >= SHARE_MIN
    return {
      figure: slowest,
      unit: 'ms, slowest answer to a write',
      ok: seen.every(isGood) && crashes === 0,
      faults: outages.length,
      inFlight,
      more: { crashes, outages: seen, ...(rig.smallDisk === undefined && { notRun: 'disk full: no right to mount' }) },
    } satisfies StormResult
  },
}

function outagesOf({ rig }: StormContext): Outage[] {
  const { postgres } = rig.stack.servers
  const freeze = (signal: 'SIGSTOP' | 'SIGCONT') => async () => signalTree(postgres.pid ?? 0, signal)
  const disk = rig.smallDisk
  const down: Outage = {
    what: 'Postgres is down',
    begin: async () => void (await postgres.kill('SIGKILL')),
    end: async () => await postgres.restart(),
  }
  const frozen: Outage = { what: 'Postgres is frozen', begin: freeze('SIGSTOP'), end: freeze('SIGCONT') }
  if (disk === undefined) return [down, frozen]
  const full: Outage = {
    what: DISK_FULL,
    begin: async () => disk.fill(),
    end: async () => {
      disk.clear()
      // It ends by itself when it cannot write its log; a supervisor would start it again.
      if (!postgres.alive) await postgres.restart()
    },
  }
  return [down, frozen, full]
}

/** Breaks it, watches readiness and writes meanwhile, mends it and waits until tasks complete again, as many as before. */
async function suffer({ rig, name }: StormContext, outage: Outage, seconds: number, normal: number): Promise<Seen> {
  const ready = `${rig.orchestrators[0]?.url}/readyz`
  await outage.begin()
  const from = performance.now()
  const red = timeUntil(async () => (await fetch(ready, { signal: AbortSignal.timeout(5000) })).status === 503, 10_000)
  const statuses: Record<string, number> = {}
  let slowestMs = 0
  let withoutRetryAfter = 0
  while (performance.now() - from < seconds * 1000) {
    const asked = performance.now()
    const { status, retryAfter } = await rig.client.probe(`${name}-probe-${Math.round(asked)}`, oneTask({}))
    slowestMs = Math.max(slowestMs, Math.round(performance.now() - asked))
    statuses[status] = (statuses[status] ?? 0) + 1
    if (status !== '202' && (status !== '503' || !retryAfter)) withoutRetryAfter += 1
    await sleep(200)
  }
  await outage.end()
  const mended = Date.now()
  const done = `select count(*) as n from attempts where outcome = 'completed' and ended_at > ${at(mended)}`
  const backMs = await timeUntil(async () => (await count(rig, done)) > 0, 60_000)
  const redMs = await red
  const againFrom = mended + BACK_MAX_MS
  await sleep(Math.max(0, againFrom + NORMAL_MS - Date.now()))
  const again = await throughput(rig, againFrom, againFrom + NORMAL_MS)
  return {
    what: outage.what,
    redMs: outage.what === DISK_FULL ? undefined : redMs,
    slowestMs,
    statuses,
    withoutRetryAfter,
    backMs,
    share: Math.round((again / Math.max(normal, 0.001)) * 100) / 100,
  }
}
