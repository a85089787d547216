/** Finds what runs without an instance that claims it: starts that were given up, and what a lost database had made. */
import type { Db } from '@hypercode/db'
import type { Logger } from '@hypercode/telemetry'
import type { Driver, Handle } from '../drivers/driver.ts'
import type { FactoryMetrics } from '../metrics.ts'
import { claimedLaunches } from '../store/owned-instances.ts'

export interface OrphanSweepOptions {
  readonly db: Db
  readonly drivers: ReadonlyMap<string, Driver>
  /** Unclaimed for so long at every look, a launch is ended. */
  readonly graceMs: number
  readonly log: Logger
  readonly metrics: FactoryMetrics
}

/** One sweep; run it as a loop. A driver that cannot be asked passes over its own things alone. */
export function createOrphanSweep({ db, drivers, graceMs, log, metrics }: OrphanSweepOptions): () => Promise<void> {
  const unclaimedSince = new Map<string, number>()

  const unclaimed = async (handles: readonly Handle[]): Promise<Handle[]> => {
    const launchIds = handles.map((handle) => handle.launchId)
    const claimed = await claimedLaunches(db, launchIds)
    return handles.filter((handle) => !claimed.has(handle.launchId))
  }

  const end = async (driver: Driver, handle: Handle): Promise<void> => {
    const { launchId, instanceId } = handle
    log.warn({ launchId, instanceId, driver: driver.name }, 'ended what no instance claims')
    await driver.kill(handle)
    await driver.forget(handle)
    metrics.orphans.inc({ driver: driver.name })
  }

  const sweep = async (driver: Driver): Promise<void> => {
    const nowMs = performance.now()
    const strays = await unclaimed(await driver.list())
    const seen = new Set(strays.map((handle) => handle.launchId))
    for (const key of unclaimedSince.keys()) {
      if (key.startsWith(`${driver.name}/`) && !seen.has(key.slice(driver.name.length + 1))) unclaimedSince.delete(key)
    }
    for (const handle of strays) {
      const key = `${driver.name}/${handle.launchId}`
      const sinceMs = unclaimedSince.get(key) ?? nowMs
      unclaimedSince.set(key, sinceMs)
      if (nowMs - sinceMs < graceMs) continue
      await end(driver, handle)
      unclaimedSince.delete(key)
    }
  }

  return async () => {
    const results = await Promise.allSettled([...drivers.values()].map(sweep))
    for (const result of results) {
      if (result.status === 'rejected') log.warn({ err: result.reason as unknown }, 'orphans could not be looked for')
    }
  }
}
