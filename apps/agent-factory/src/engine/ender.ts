/**
 * Ends instances, and settles what has ended.
 *
 * N1 A crash is written before what is left of the process is killed: whoever comes then sees it given up.
 * N2 What an instance wrote is kept before its driver may forget it.
 */
import type { CrashDraft } from '../domain/crashes.ts'
import type { FactoryInstance } from '../domain/factory-instance.ts'
import { ended, leaving } from '../domain/transitions.ts'
import type { Driver, Handle } from '../drivers/driver.ts'
import type { InstanceWriter } from './instance-writer.ts'
import { loggedOf } from './log-pump.ts'
import type { LogPump } from './log-pump.ts'

export interface EnderDeps {
  readonly writer: InstanceWriter
  readonly pump: LogPump
  /** Between SIGTERM and SIGKILL. */
  readonly stopGraceMs: number
}

export interface Ender {
  /** Its process is gone by itself. */
  crashed(instance: FactoryInstance, driver: Driver, crash: CrashDraft): Promise<void>
  /** Its process is gone as it was told. */
  ended(instance: FactoryInstance, driver: Driver): Promise<void>
  /** Lets it finish what it has. */
  stop(instance: FactoryInstance, driver: Driver, handle: Handle): Promise<void>
  kill(instance: FactoryInstance, driver: Driver, handle: Handle): Promise<void>
  /** Counts it as crashed, and kills it. */
  replace(instance: FactoryInstance, driver: Driver, handle: Handle, crash: CrashDraft): Promise<void>
}

export function createEnder({ writer, pump, stopGraceMs }: EnderDeps): Ender {
  const settle = async (
    instance: FactoryInstance,
    driver: Driver,
    write: () => Promise<FactoryInstance | undefined>,
  ): Promise<void> => {
    const { handle, host } = instance
    // What was left on a machine that is lost cannot be read any more.
    const isHere = handle !== null && host === driver.host
    if (isHere) await pump.drain(loggedOf(instance, driver, handle))
    if ((await write()) !== undefined && isHere) await driver.forget(handle)
  }

  const settleEnded = async (instance: FactoryInstance, driver: Driver): Promise<void> =>
    await settle(instance, driver, async () => await writer.write(instance, ended(instance)))

  const kill: Ender['kill'] = async (instance, driver, handle) => {
    await driver.kill(handle)
    await settleEnded(instance, driver)
  }

  return {
    kill,
    ended: settleEnded,
    crashed: async (instance, driver, crash) =>
      await settle(instance, driver, async () => await writer.crash(instance, crash, 'gone')),
    async stop(instance, driver, handle) {
      const change = leaving(instance)
      const going = change === undefined ? instance : await writer.write(instance, change)
      if (going === undefined) return
      await driver.stop(handle, stopGraceMs)
      await settleEnded(going, driver)
    },
    async replace(instance, driver, handle, crash) {
      await pump.drain(loggedOf(instance, driver, handle))
      const given = await writer.crash(instance, crash, 'keep')
      if (given !== undefined) await kill(given, driver, handle)
    },
  }
}
