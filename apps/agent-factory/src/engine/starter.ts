/**
 * Starts instances.
 *
 * S1 A launch is written before the driver hears of it. Whoever asks the driver for it again, be it another factory, asks for the same
 *    launch with the same secret, and gets the process that there is: a launch is one process, however often it is begun.
 */
import { newId } from '@hypercode/contracts'
import { createLane, hashSecret } from '@hypercode/db'
import type { Logger } from '@hypercode/telemetry'
import { crashBecause } from '../domain/crashes.ts'
import type { FactoryInstance } from '../domain/factory-instance.ts'
import { launched, started } from '../domain/transitions.ts'
import { LaunchRefused } from '../drivers/driver.ts'
import type { Driver, Handle } from '../drivers/driver.ts'
import type { FactoryMetrics } from '../metrics.ts'
import { about } from './instance-writer.ts'
import type { InstanceWriter } from './instance-writer.ts'
import { planLaunch } from './plan-launch.ts'
import type { LaunchSettings } from './plan-launch.ts'

export interface StarterDeps {
  readonly writer: InstanceWriter
  readonly launchSettings: LaunchSettings
  /** The client secret of a launch, which every replica can make and nobody has to keep. */
  readonly launchSecret: (launchId: string) => string
  /** Starts on their way at the same time. */
  readonly startsMax: number
  readonly startTimeoutMs: number
  readonly log: Logger
  readonly metrics: FactoryMetrics
}

export interface Starter {
  /** Writes a launch and has the driver start it. */
  launch(instance: FactoryInstance, driver: Driver): Promise<void>
  /** Goes on with a launch that was written, by us or by a factory that has died since. */
  adopt(instance: FactoryInstance, driver: Driver): Promise<void>
}

/** Starts that may wait for their turn; each is an instance of ours, so there are never more. */
const STARTS_WAITING_MAX = 10_000

export function createStarter(deps: StarterDeps): Starter {
  const { writer, launchSecret, startTimeoutMs, log, metrics } = deps
  const starts = createLane<() => Promise<Handle>, Handle>({
    name: 'starts',
    maxBatch: 1,
    lanes: deps.startsMax,
    maxWaiting: STARTS_WAITING_MAX,
    onFull: (waiting) => new Error(`${waiting} starts wait`),
    mayIsolate: () => false,
    run: async (jobs) => await Promise.all(jobs.map(async (job) => await job())),
  })

  const begin = async (instance: FactoryInstance, driver: Driver, launchId: string): Promise<void> => {
    try {
      const plan = planLaunch(instance, { launchId, clientSecret: launchSecret(launchId) }, deps.launchSettings)
      const handle = await starts.submit(async () => await driver.start(plan, AbortSignal.timeout(startTimeoutMs)))
      await writer.write(instance, started(instance, handle))
    } catch (error) {
      if (!(error instanceof LaunchRefused)) throw error
      await writer.crash(instance, crashBecause('start_failed', error.message), 'gone')
    }
  }

  return {
    async launch(instance, driver) {
      const launchId = newId()
      const secretHash = await hashSecret(launchSecret(launchId))
      const written = await writer.write(instance, launched(instance, { launchId, host: driver.host, secretHash }))
      if (written === undefined) return
      metrics.starts.inc({ driver: driver.name })
      await begin(written, driver, launchId)
    },
    async adopt(instance, driver) {
      const { launchId, lifecycle } = instance
      if (launchId === null) return
      if (instance.host !== driver.host) {
        // The machine that it was written for is lost, and whatever became of it there.
        await writer.write(instance, { lifecycle, launch: 'gone' })
        return
      }
      log.info({ ...about(instance), launchId }, 'going on with a start that was begun before')
      await begin(instance, driver, launchId)
    },
  }
}
