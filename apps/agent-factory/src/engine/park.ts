/** Ends everything that this installation runs here, for a factory that shall leave nothing behind. */
import type { Logger } from '@hypercode/telemetry'
import { parked } from '../domain/transitions.ts'
import type { FactoryInstance } from '../domain/factory-instance.ts'
import type { Driver, Handle } from '../drivers/driver.ts'
import { writeChange } from '../store/changes.ts'
import type { ChangeDeps } from '../store/changes.ts'

export interface ParkOptions extends ChangeDeps {
  readonly owner: string
  readonly drivers: ReadonlyMap<string, Driver>
  readonly graceMs: number
  readonly log: Logger
}

/** `owned` are told that their process is gone; what somebody else holds finds that out by itself. Never throws. */
export async function park(options: ParkOptions, owned: readonly FactoryInstance[]): Promise<void> {
  const { drivers, graceMs, log, owner } = options
  const end = async (driver: Driver, handle: Handle): Promise<void> => {
    await driver.stop(handle, graceMs)
    const instance = owned.find((one) => one.launchId === handle.launchId)
    if (instance !== undefined) await writeChange(options, instance, parked(instance), owner)
    await driver.forget(handle)
  }
  const endAll = async (driver: Driver): Promise<void> => {
    const handles = await driver.list()
    const results = await Promise.allSettled(handles.map(async (handle) => await end(driver, handle)))
    for (const result of results) {
      if (result.status === 'rejected')
        log.warn({ err: result.reason as unknown }, 'an agent did not end in good order')
    }
    log.info({ driver: driver.name, agents: handles.length }, 'ended what runs here')
  }
  for (const result of await Promise.allSettled([...drivers.values()].map(endAll))) {
    if (result.status === 'rejected') log.error({ err: result.reason as unknown }, 'agents may have been left behind')
  }
}
