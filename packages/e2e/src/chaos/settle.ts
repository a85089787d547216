import { setTimeout as sleep } from 'node:timers/promises'
import { check } from '../checker/check.ts'
import { ackedShare } from '../checker/client-history.ts'
import type { Broken } from '@hypercode/testkit/invariants'
import { openMissions } from './load.ts'
import { count } from './measure.ts'
import { resolveUnknownEffects } from './person.ts'
import type { Rig } from './rig.ts'

const SETTLE_MAX_MS = 180_000
const QUIET_MS = 6000

export interface Settled {
  /** From the last fault until nothing was open and all hints were sent; undefined when that never came. */
  readonly settleMs: number | undefined
  readonly open: number
  readonly broken: readonly Broken[]
  readonly submits: number
  readonly acked: number
  /** Plain effects in which an attempt was cut off: their tasks were paused until the operator said whether they had happened. */
  readonly unknownEffects: number
}

/** Waits until everything that was begun has ended and been told, lets the platform rest for a moment, and looks at everything. */
export async function settle(rig: Rig, options: { streamsComplete: boolean }): Promise<Settled> {
  const from = performance.now()
  let open = await openMissions(rig)
  let untold = await untoldHints(rig)
  let unknownEffects = 0
  while ((open !== 0 || untold !== 0) && performance.now() - from < SETTLE_MAX_MS) {
    await sleep(250)
    unknownEffects += await resolveUnknownEffects(rig)
    open = await openMissions(rig)
    untold = await untoldHints(rig)
  }
  const settleMs = open === 0 && untold === 0 ? Math.round(performance.now() - from) : undefined
  await sleep(QUIET_MS)
  const broken = await check({
    directUrl: rig.stack.directDatabaseUrl,
    streams: { url: rig.stack.redisUrl, complete: options.streamsComplete },
    sinkFile: rig.files.sink,
    historyFile: rig.files.history,
    rest: { quietMs: QUIET_MS - 1000, sweepMs: 1000, leaseMs: 15_000 },
  })
  const { submits, acked } = ackedShare(rig.client.records)
  return { settleMs, open: open ?? -1, broken, submits, acked, unknownEffects }
}

/** Hints that their publisher has not sent in time; ten minutes without Redis leave tens of thousands. Undefined while nobody can say. */
async function untoldHints(rig: Rig): Promise<number | undefined> {
  try {
    return await count(rig, 'select count(*) as n from outbox where next_try_at < now()')
  } catch {
    return undefined // the database may be what is broken
  }
}
