/**
 * Does what was decided about one instance. Every step is written with a compare-and-set on what it was decided on, so that it can be cut
 * off anywhere and the next look goes on; a row that has changed meanwhile is left alone, and the next look decides anew.
 */
import type { Logger } from '@hypercode/telemetry'
import { decide } from '../domain/decide.ts'
import type { Decision, Weather } from '../domain/decide.ts'
import type { FactoryInstance } from '../domain/factory-instance.ts'
import { buried, passed } from '../domain/transitions.ts'
import type { Driver, Status } from '../drivers/driver.ts'
import type { FactoryMetrics } from '../metrics.ts'
import type { Ender } from './ender.ts'
import { about } from './instance-writer.ts'
import type { InstanceWriter } from './instance-writer.ts'
import type { Starter } from './starter.ts'

export interface KeeperDeps {
  readonly drivers: ReadonlyMap<string, Driver>
  readonly writer: InstanceWriter
  readonly starter: Starter
  readonly ender: Ender
  readonly weather: () => Weather
  /** Longest wait for a driver to say how a process is. */
  readonly inspectTimeoutMs: number
  readonly log: Logger
  readonly metrics: FactoryMetrics
}

export interface Keeper {
  /** Looks at one instance and does what is to be done; false when that failed, for reasons that may pass. Never throws. */
  tend(instance: FactoryInstance): Promise<boolean>
}

export function createKeeper(deps: KeeperDeps): Keeper {
  const { writer, starter, ender, log, metrics } = deps

  const act = async (instance: FactoryInstance, driver: Driver, decision: Decision): Promise<unknown> => {
    if (decision.do === 'launch') return await starter.launch(instance, driver)
    if (decision.do === 'adopt') return await starter.adopt(instance, driver)
    if (decision.do === 'pass') return await writer.write(instance, passed(instance))
    if (decision.do === 'bury') return await writer.write(instance, buried(instance))
    if (decision.do === 'crashed') return await ender.crashed(instance, driver, decision.crash)
    if (decision.do === 'ended') return await ender.ended(instance, driver)
    const { handle } = instance
    if (decision.do === 'wait' || handle === null) return undefined
    if (decision.do === 'replace') return await ender.replace(instance, driver, handle, decision.crash)
    return await ender[decision.do](instance, driver, handle)
  }

  return {
    async tend(instance) {
      const driver = deps.drivers.get(instance.driver)
      if (driver === undefined) return true
      try {
        const status = await statusOf(instance, driver, deps.inspectTimeoutMs)
        await act(instance, driver, decide(instance, status, deps.weather()))
        return true
      } catch (err) {
        metrics.faults.inc({ driver: driver.name })
        log.warn({ err, ...about(instance) }, 'an instance could not be looked after; the next look tries again')
        return false
      }
    },
  }
}

/** What cannot be said in time is unknown; what runs elsewhere and is ours now has been lost with its machine. */
async function statusOf({ handle, host }: FactoryInstance, driver: Driver, timeoutMs: number): Promise<Status> {
  if (handle === null) return { state: 'unknown' }
  if (host !== driver.host) return { state: 'ended', exit: undefined }
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<Status>((resolve) => {
    timer = setTimeout(() => resolve({ state: 'unknown' }), timeoutMs)
  })
  try {
    return await Promise.race([driver.inspect(handle), late])
  } finally {
    clearTimeout(timer)
  }
}
