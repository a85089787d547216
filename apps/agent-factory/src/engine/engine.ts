/**
 * Brings what runs to what shall run. One pass renews what this replica holds, takes what nobody holds, and looks at each instance that
 * is not in hand already. Everything that it knows stands in Postgres and in the drivers: it can be killed at any point.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { LIFECYCLE } from '@hypercode/contracts'
import type { Db } from '@hypercode/db'
import type { Logger } from '@hypercode/telemetry'
import type { FactoryInstance } from '../domain/factory-instance.ts'
import type { Driver } from '../drivers/driver.ts'
import type { FactoryMetrics } from '../metrics.ts'
import { holdInstances, readOwned, releaseInstances } from '../store/owned-instances.ts'
import type { Ownership } from '../store/owned-instances.ts'
import type { Keeper } from './keeper.ts'
import { loggedOf } from './log-pump.ts'
import type { LoggedInstance } from './log-pump.ts'
import type { Nudge } from './nudge.ts'

export interface EngineDeps {
  readonly db: Db
  readonly drivers: ReadonlyMap<string, Driver>
  readonly keeper: Keeper
  readonly nudge: Nudge
  readonly ownership: Ownership
  readonly populationMax: number
  /** Between two looks when all is quiet; while something is on its way they come faster. */
  readonly tickMs: number
  readonly log: Logger
  readonly metrics: FactoryMetrics
}

export interface Engine {
  /** Waits until it is time or somebody nudges, then makes one pass. Run it as a loop. */
  turn(signal: AbortSignal): Promise<void>
  /** One pass at once. */
  pass(): Promise<void>
  /** Instances of the last pass that have a process. */
  running(): readonly LoggedInstance[]
  /** Resolves when nothing is in hand, or after `waitMs`. Nothing is looked at any more. */
  stop(waitMs: number): Promise<void>
  /** What it holds, as it stands now, or as it was seen last when that cannot be asked. */
  owned(): Promise<readonly FactoryInstance[]>
  /** Lets others have at once what it holds; when that cannot be written, they wait for its lease to run out. Never throws. */
  release(): Promise<void>
}

/** While something starts or ends: what waits for it should not wait for us. */
const FAST_MS = 100
const FAULT_PAUSE_MS = 1000

export function createEngine(deps: EngineDeps): Engine {
  const { db, drivers, keeper, nudge, ownership, populationMax, tickMs, log, metrics } = deps
  const inHand = new Map<string, Promise<void>>()
  let owned: readonly FactoryInstance[] = []
  let stopping = false

  const tend = async (instance: FactoryInstance): Promise<void> => {
    const isDone = await keeper.tend(instance)
    // What fails now would fail again in a moment, and so would all others that have the same reason.
    if (!isDone && !stopping) await sleep(FAULT_PAUSE_MS)
    inHand.delete(instance.id)
  }

  const look = (instance: FactoryInstance): void => {
    if (inHand.has(instance.id) || stopping) return
    inHand.set(instance.id, tend(instance))
  }

  const pass = async (): Promise<void> => {
    await holdInstances(db, ownership, [...drivers.values()])
    const held = await readOwned(db, ownership.owner, populationMax)
    const known = new Set(owned.map((one) => one.id))
    const adopted = held.filter((one) => one.handle !== null && !known.has(one.id))
    if (adopted.length > 0)
      log.info({ adopted: adopted.length }, 'instances that run already are looked after from here')
    metrics.adopted.inc({}, adopted.length)
    owned = held
    for (const instance of held) look(instance)
    count(metrics, held)
  }

  return {
    pass,
    async turn(signal) {
      await nudge.wait(owned.some(isOnItsWay) || inHand.size > 0 ? Math.min(FAST_MS, tickMs) : tickMs, signal)
      if (!signal.aborted) await pass()
    },
    running: () =>
      owned.flatMap((instance) => {
        const driver = drivers.get(instance.driver)
        return instance.handle === null || driver === undefined ? [] : [loggedOf(instance, driver, instance.handle)]
      }),
    async stop(waitMs) {
      stopping = true
      let timer: NodeJS.Timeout | undefined
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, waitMs)
      })
      await Promise.race([Promise.allSettled(inHand.values()), late])
      clearTimeout(timer)
    },
    async owned() {
      try {
        return await readOwned(db, ownership.owner, populationMax)
      } catch (err) {
        log.warn({ err }, 'what is held could not be read')
        return owned
      }
    },
    async release() {
      try {
        await releaseInstances(db, ownership.owner)
      } catch (err) {
        log.warn({ err }, 'what is held was not released; its lease runs out')
      }
    },
  }
}

const SETTLED = new Set(['ready', 'hibernating', 'quarantined'])

const isOnItsWay = ({ lifecycle, role, isReady, launchId, desired, dueInMs }: FactoryInstance): boolean => {
  if (role === 'spare' && isReady) return false
  if (lifecycle === 'hibernating') return launchId !== null || desired !== 'hibernating'
  return !SETTLED.has(lifecycle) && dueInMs < 2 * FAST_MS
}

function count(metrics: FactoryMetrics, held: readonly FactoryInstance[]): void {
  const byLifecycle = Map.groupBy(held, (one) => one.lifecycle)
  for (const lifecycle of LIFECYCLE) metrics.instances.set({ lifecycle }, byLifecycle.get(lifecycle)?.length ?? 0)
}
