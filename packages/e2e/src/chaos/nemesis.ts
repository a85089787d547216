import { setTimeout as sleep } from 'node:timers/promises'
import type { Load } from './load.ts'
import type { Random } from './random.ts'
import type { Rig } from './rig.ts'
import type { Victim } from './victim.ts'

/** One thing that goes wrong, at a moment of the storm. */
export interface PlannedFault {
  readonly atMs: number
  readonly what: 'kill' | 'freeze' | 'cut' | 'strand' | 'hold' | 'cut-reply'
  /** A victim, or a proxy. */
  readonly target: string
  /** How long the victim is down or frozen, or nothing passes the proxy. */
  readonly forMs: number
}

export interface StormShape {
  readonly seconds: number
  readonly everyMs: number
  /** Share of the faults that hit a connection and no process. */
  readonly networkShare: number
  readonly process: 'kill' | 'freeze'
  readonly forMs: readonly [low: number, high: number]
}

const PROXIES = ['postgres', 'pgbouncer', 'redis', 'gateway'] as const
const NETWORK = ['cut', 'strand', 'hold', 'cut-reply'] as const
const HOLD_MAX_MS = 3000

/** The same seed gives the same storm. */
export function planStorm(random: Random, victims: readonly string[], shape: StormShape): PlannedFault[] {
  const plan: PlannedFault[] = []
  for (let atMs = shape.everyMs; atMs < shape.seconds * 1000; atMs += shape.everyMs) {
    const onNetwork = random.next() < shape.networkShare
    const what = onNetwork ? random.pick(NETWORK) : shape.process
    const target = onNetwork ? random.pick(PROXIES) : random.pick(victims)
    const forMs = Math.round(onNetwork ? random.between(100, HOLD_MAX_MS) : random.between(...shape.forMs))
    plan.push({ atMs, what, target, forMs })
  }
  return plan
}

export interface StormReport {
  readonly faults: number
  /** Of these, with work in flight. */
  readonly inFlight: number
}

/** Carries the plan out; resolves when the last fault is over and everything runs again. */
export async function runStorm(
  rig: Rig,
  plan: readonly PlannedFault[],
  load: Pick<Load, 'open'>,
  log: (line: string) => void,
): Promise<StormReport> {
  const from = performance.now()
  const under: Promise<void>[] = []
  let faults = 0
  let inFlight = 0
  for (const fault of plan) {
    await sleep(Math.max(0, from + fault.atMs - performance.now()))
    const victim = rig.victims.find(({ name }) => name === fault.target)
    if (victim?.busy === true) continue
    faults += 1
    if (load.open > 0) inFlight += 1
    log(
      `${(fault.atMs / 1000).toFixed(1)} s  ${fault.what} ${fault.target} for ${fault.forMs} ms, ${load.open} missions open`,
    )
    under.push(victim === undefined ? breakNetwork(rig, fault) : breakProcess(victim, fault))
  }
  const ends = await Promise.allSettled(under)
  const failed = ends.find((end) => end.status === 'rejected')
  if (failed !== undefined) throw failed.reason
  return { faults, inFlight }
}

async function breakProcess(victim: Victim, { what, forMs }: PlannedFault): Promise<void> {
  await (what === 'freeze' ? victim.freeze(forMs) : victim.kill(forMs))
}

async function breakNetwork({ proxies }: Rig, { what, target, forMs }: PlannedFault): Promise<void> {
  const proxy = proxies[target as keyof typeof proxies]
  if (what === 'cut') proxy.cut()
  else if (what === 'strand') proxy.strand()
  else if (what === 'cut-reply') await Promise.race([proxy.cutReply(), sleep(forMs)])
  else {
    await proxy.setMode('black-hole')
    await sleep(forMs)
    await proxy.setMode('pass')
  }
}
