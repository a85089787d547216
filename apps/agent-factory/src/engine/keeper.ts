/**
 * Does what was decided about one instance: every step is written with a compare-and-set on what it was decided on, before or after the
 * driver is asked, so that it can be cut off anywhere and the next look goes on.
 *
 * K1 A launch is written before the driver hears of it. Whoever asks the driver for it again, be it another factory, asks for the same
 *    launch with the same secret, and gets the process that there is: a launch is one process, however often it is begun.
 * K2 A crash is written before what is left of the process is killed: whoever comes then sees it given up.
 * K3 A row that has changed meanwhile is left alone; the next look decides anew.
 */
import { newId } from '@hypercode/contracts'
import { createLane, hashSecret } from '@hypercode/db'
import type { Logger } from '@hypercode/telemetry'
import { crashBecause } from '../domain/crashes.ts'
import type { CrashDraft } from '../domain/crashes.ts'
import { decide } from '../domain/decide.ts'
import type { Weather } from '../domain/decide.ts'
import type { FactoryInstance } from '../domain/factory-instance.ts'
import { buried, crashed, ended, launched, leaving, passed, started } from '../domain/transitions.ts'
import type { Change } from '../domain/transitions.ts'
import { LaunchRefused } from '../drivers/driver.ts'
import type { Driver, Handle, Status } from '../drivers/driver.ts'
import type { FactoryMetrics } from '../metrics.ts'
import { writeChange } from '../store/changes.ts'
import type { ChangeDeps } from '../store/changes.ts'
import type { LogPump } from './log-pump.ts'
import { planLaunch } from './plan-launch.ts'
import type { LaunchSettings } from './plan-launch.ts'

export interface KeeperDeps extends ChangeDeps {
  readonly owner: string
  readonly drivers: ReadonlyMap<string, Driver>
  readonly pump: LogPump
  readonly launchSettings: LaunchSettings
  /** The client secret of a launch, which every replica can make and nobody has to keep. */
  readonly launchSecret: (launchId: string) => string
  readonly log: Logger
  readonly metrics: FactoryMetrics
  readonly weather: () => Weather
  readonly limits: KeeperLimits
}

export interface KeeperLimits {
  /** Starts on their way at the same time. */
  readonly startsMax: number
  readonly startTimeoutMs: number
  /** Longest wait for a driver to say how a process is. */
  readonly inspectTimeoutMs: number
  /** Between SIGTERM and SIGKILL. */
  readonly stopGraceMs: number
}

export interface Keeper {
  /** Looks at one instance and does what is to be done; false when that failed, for reasons that may pass. Never throws. */
  tend(instance: FactoryInstance): Promise<boolean>
}

/** Starts that may wait for their turn; each is an instance of ours, so there are never more. */
const STARTS_WAITING_MAX = 10_000

export function createKeeper(deps: KeeperDeps): Keeper {
  const { log, metrics, limits, pump } = deps
  const starts = createLane<() => Promise<Handle>, Handle>({
    name: 'starts',
    maxBatch: 1,
    lanes: limits.startsMax,
    maxWaiting: STARTS_WAITING_MAX,
    onFull: (waiting) => new Error(`${waiting} starts wait`),
    mayIsolate: () => false,
    run: async (jobs) => await Promise.all(jobs.map(async (job) => await job())),
  })

  /** The instance as it is after the change; undefined when somebody else has changed it. */
  const write = async (instance: FactoryInstance, change: Change): Promise<FactoryInstance | undefined> => {
    if (!(await writeChange(deps, instance, change, deps.owner))) return undefined
    if (change.event !== undefined) {
      log.info({ ...about(instance), ...change.event.body, lifecycle: change.lifecycle }, change.event.type)
    }
    return {
      ...instance,
      lifecycle: change.lifecycle,
      desired: change.desired ?? instance.desired,
      versionNo: instance.versionNo + 1,
      ...(typeof change.launch === 'object' && {
        launchId: change.launch.launchId,
        sinceStartMs: 0,
        starts: instance.starts + 1,
      }),
      ...(change.launch === 'gone' && { launchId: null, handle: null }),
      ...(change.handle !== undefined && { handle: change.handle }),
    }
  }

  const crash = async (instance: FactoryInstance, draft: CrashDraft, launch: 'keep' | 'gone') => {
    metrics.crashes.inc({ reason: draft.reason })
    return await write(instance, crashed(instance, draft, launch))
  }

  /** Asks the driver for the launch that is written: it starts it, or finds it. */
  const begin = async (instance: FactoryInstance, driver: Driver, launchId: string): Promise<void> => {
    try {
      const plan = planLaunch(instance, { launchId, clientSecret: deps.launchSecret(launchId) }, deps.launchSettings)
      const handle = await starts.submit(
        async () => await driver.start(plan, AbortSignal.timeout(limits.startTimeoutMs)),
      )
      await write(instance, started(instance, handle))
    } catch (error) {
      if (!(error instanceof LaunchRefused)) throw error
      await crash(instance, crashBecause('start_failed', error.message), 'gone')
    }
  }

  const launch = async (instance: FactoryInstance, driver: Driver): Promise<void> => {
    const launchId = newId()
    const secretHash = await hashSecret(deps.launchSecret(launchId))
    const written = await write(instance, launched(instance, { launchId, host: driver.host, secretHash }))
    if (written === undefined) return
    metrics.starts.inc({ driver: driver.name })
    await begin(written, driver, launchId)
  }

  const adopt = async (instance: FactoryInstance, driver: Driver): Promise<void> => {
    const { launchId, lifecycle } = instance
    if (launchId === null) return
    if (instance.host === driver.host) {
      log.info({ ...about(instance), launchId }, 'going on with a start that was begun before')
      await begin(instance, driver, launchId)
      // The machine that it was written for is lost, and nothing of it with it.
    } else await write(instance, { lifecycle, launch: 'gone' })
  }

  /** Keeps what it wrote, then lets the driver forget it. */
  const cleanUp = async (instance: FactoryInstance, driver: Driver, settle: () => Promise<unknown>): Promise<void> => {
    const { handle } = instance
    // What was left on a machine that is lost cannot be read any more.
    const isHere = handle !== null && instance.host === driver.host
    if (isHere) await pump.drain(loggedOf(instance, driver, handle))
    if ((await settle()) !== undefined && isHere) await driver.forget(handle)
  }

  const stop = async (instance: FactoryInstance, driver: Driver, handle: Handle): Promise<void> => {
    const change = leaving(instance)
    const going = change === undefined ? instance : await write(instance, change)
    if (going === undefined) return
    await driver.stop(handle, limits.stopGraceMs)
    await cleanUp(going, driver, async () => await write(going, ended(going)))
  }

  const kill = async (instance: FactoryInstance, driver: Driver, handle: Handle): Promise<void> => {
    await driver.kill(handle)
    await cleanUp(instance, driver, async () => await write(instance, ended(instance)))
  }

  const act = async (instance: FactoryInstance, driver: Driver): Promise<void> => {
    const { handle } = instance
    const decision = decide(instance, await statusOf(instance, driver, limits.inspectTimeoutMs), deps.weather())
    if (decision.do === 'launch') await launch(instance, driver)
    else if (decision.do === 'adopt') await adopt(instance, driver)
    else if (decision.do === 'pass') await write(instance, passed(instance))
    else if (decision.do === 'bury') await write(instance, buried(instance))
    else if (decision.do === 'crashed')
      await cleanUp(instance, driver, async () => await crash(instance, decision.crash, 'gone'))
    else if (decision.do === 'ended')
      await cleanUp(instance, driver, async () => await write(instance, ended(instance)))
    else if (handle === null) return
    else if (decision.do === 'stop') await stop(instance, driver, handle)
    else if (decision.do === 'kill') await kill(instance, driver, handle)
    else if (decision.do === 'replace') {
      await pump.drain(loggedOf(instance, driver, handle))
      const given = await crash(instance, decision.crash, 'keep')
      if (given !== undefined) await kill(given, driver, handle)
    }
  }

  return {
    async tend(instance) {
      const driver = deps.drivers.get(instance.driver)
      if (driver === undefined) return true
      try {
        await act(instance, driver)
        return true
      } catch (err) {
        metrics.faults.inc({ driver: driver.name })
        log.warn({ err, ...about(instance) }, 'an instance could not be looked after; the next look tries again')
        return false
      }
    },
  }
}

export const loggedOf = (instance: FactoryInstance, driver: Driver, handle: Handle) => ({
  id: instance.id,
  tenantId: instance.tenantId,
  launchId: handle.launchId,
  handle,
  driver,
  logCursor: instance.logCursor,
})

const about = ({ id, tenantId, blueprint, version }: FactoryInstance) => ({
  instanceId: id,
  tenantId,
  blueprint,
  version,
})

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
