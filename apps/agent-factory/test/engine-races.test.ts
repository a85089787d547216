import { expect } from 'vitest'
import { newId } from '@hypercode/contracts'
import type { Instance } from '@hypercode/contracts'
import { waitFor } from '@hypercode/testkit'
import type { Driver } from '../src/drivers/driver.ts'
import { driverIn, pidOf, test } from './factory.ts'
import { MUTE } from './manifest-of.ts'
import type { Caller, Factory } from './factory.ts'

const LONG = 60_000
/** Soon lost when its holder is dead, and looked at often. */
const QUICK = { leaseMs: 1000, tickMs: 50 }

const never = async (): Promise<never> => await new Promise<never>(() => undefined)
const isRunning = (one: Instance): boolean => one.lifecycle === 'warming' && one.place !== undefined
const pidsIn = async (driver: Driver): Promise<unknown[]> => (await driver.list()).map((handle) => handle['pid'])

/** A factory that dies at a chosen call of its driver: the call, or its answer, is never heard of again. */
function dyingAt(driver: Driver, call: 'start' | 'stop' | 'kill', when: 'before' | 'after'): Driver {
  const dying = async (work: () => Promise<unknown>): Promise<never> => {
    if (when === 'after') await work()
    return await never()
  }
  return {
    ...driver,
    ...(call === 'start' && {
      start: async (launch, signal) => await dying(async () => await driver.start(launch, signal)),
    }),
    ...(call === 'stop' && {
      stop: async (handle, graceMs) => await dying(async () => await driver.stop(handle, graceMs)),
    }),
    ...(call === 'kill' && { kill: async (handle) => await dying(async () => await driver.kill(handle)) }),
  }
}

/** Lets a factory do one thing with an instance, and then never look at anything again. */
async function dieBusy(factory: Factory, isBusy: () => Promise<boolean>): Promise<void> {
  await waitFor(
    async () => {
      await factory.engine.pass()
      return await isBusy()
    },
    { what: 'the factory to be at the point where it dies' },
  )
}

async function spawnMute(caller: Caller, count = 1, spec: Record<string, unknown> = {}): Promise<Instance[]> {
  await caller.blueprint('mute', spec)
  return await caller.spawn('mute', 1, { count })
}

// Each has a database and a folder of its own and mostly waits for leases to run out, so they wait together.

test.concurrent('two factories over one database start each instance once', { timeout: LONG }, async ({
  startFactory,
  folder,
}) => {
  const factories = [await startFactory(undefined, QUICK), await startFactory(undefined, QUICK)] as const
  for (const factory of factories) factory.startLoops()
  const caller = factories[0].caller()
  const spawned = await spawnMute(caller, 6)
  for (const { id } of spawned) await caller.until(id, 'its process', isRunning)
  const after = await caller.instances()
  expect(after.map((one) => one.starts)).toEqual(Array(6).fill(1))
  expect(new Set(await pidsIn(driverIn(folder)))).toEqual(new Set(after.map(pidOf)))
  expect(await pidsIn(driverIn(folder))).toHaveLength(6)
})

test.concurrent('a factory that dies between writing a launch and asking its driver: another one starts it, once', {
  timeout: LONG,
}, async ({ startFactory, folder }) => {
  const first = await startFactory(undefined, QUICK, { driver: dyingAt(driverIn(folder), 'start', 'before') })
  const [one] = (await spawnMute(first.caller())) as [Instance]
  await dieBusy(first, async () => (await first.caller().instance(one.id)).starts === 1)
  const second = await startFactory(undefined, QUICK)
  second.startLoops()
  const running = await second.caller().until(one.id, 'its process', isRunning)
  expect(running).toMatchObject({ starts: 1, crashes: [] })
  expect(await pidsIn(second.driver)).toEqual([pidOf(running)])
})

test.concurrent('a factory that dies before it has heard of its start: another one adopts the process', {
  timeout: LONG,
}, async ({ startFactory, folder }) => {
  const real = driverIn(folder)
  const first = await startFactory(undefined, QUICK, { driver: dyingAt(real, 'start', 'after') })
  const [one] = (await spawnMute(first.caller())) as [Instance]
  await dieBusy(first, async () => (await real.list()).length === 1)
  const [pid] = await pidsIn(real)
  const second = await startFactory(undefined, QUICK)
  second.startLoops()
  const running = await second.caller().until(one.id, 'its process', isRunning)
  expect(running).toMatchObject({ starts: 1, crashes: [] })
  expect(pidOf(running)).toBe(pid)
  expect(await pidsIn(real)).toEqual([pid])
})

test.concurrent('a factory that was only slow and comes to its start when another one has taken over: still one process', {
  timeout: LONG,
}, async ({ startFactory, folder }) => {
  const real = driverIn(folder)
  const pause = Promise.withResolvers<void>()
  const begun = Promise.withResolvers<unknown>()
  const slow: Driver = {
    ...real,
    start: async (launch, signal) => {
      await pause.promise
      const handle = await real.start(launch, signal)
      begun.resolve(handle['pid'])
      return handle
    },
  }
  const first = await startFactory(undefined, QUICK, { driver: slow })
  const caller = first.caller()
  const [one] = (await spawnMute(caller)) as [Instance]
  await dieBusy(first, async () => (await caller.instance(one.id)).starts === 1)
  const second = await startFactory(undefined, QUICK)
  second.startLoops()
  const running = await caller.until(one.id, 'its process', isRunning)
  pause.resolve()
  expect(await begun.promise).toBe(pidOf(running))
  expect(await pidsIn(real)).toEqual([pidOf(running)])
  expect(await caller.instance(one.id)).toMatchObject({ starts: 1, crashes: [], place: running.place })
})

test.concurrent.for(['before', 'after'] as const)(
  'a factory that dies while it ends an instance (%s): another one ends it',
  { timeout: LONG },
  async (when, { startFactory, folder }) => {
    const real = driverIn(folder)
    const first = await startFactory(undefined, QUICK, { driver: dyingAt(real, 'stop', when) })
    const caller = first.caller()
    const [one] = (await spawnMute(caller)) as [Instance]
    await dieBusy(first, async () => isRunning(await caller.instance(one.id)))
    await caller.call('POST', `/v1/instances/${one.id}:stop`)
    await first.engine.pass()
    const second = await startFactory(undefined, QUICK)
    second.startLoops()
    const ended = await caller.until(one.id, 'its end', (now) => now.endedAt !== undefined)
    expect(ended).toMatchObject({ lifecycle: 'stopped', starts: 1, crashes: [] })
    expect(await real.list()).toEqual([])
  },
)

test.concurrent.for(['before', 'after'] as const)(
  'a factory that dies while it replaces what was not ready in time (%s): one process in the end, one crash',
  { timeout: LONG },
  async (when, { startFactory, folder }) => {
    const real = driverIn(folder)
    const watchdog = { readyWithin: '2s' }
    const first = await startFactory(undefined, QUICK, { driver: dyingAt(real, 'kill', when) })
    const caller = first.caller()
    const [one] = (await spawnMute(caller, 1, { watchdog, restart: { initialInterval: '100ms' } })) as [Instance]
    await dieBusy(first, async () => (await caller.instance(one.id)).crashes.length === 1)
    const second = await startFactory(undefined, QUICK)
    second.startLoops()
    const again = await caller.until(one.id, 'its replacement', (now) => isRunning(now) && now.starts === 2)
    expect(again.crashes).toMatchObject([{ reason: 'not_ready', detail: expect.stringContaining('did not register') }])
    expect(await pidsIn(real)).toEqual([pidOf(again)])
  },
)

test.concurrent('what ran on a machine that is lost is started on another, after a while and not before', {
  timeout: LONG,
}, async ({ startFactory, folder }) => {
  const there: Driver = { ...driverIn(folder), host: 'lost-machine' }
  const first = await startFactory(undefined, QUICK, { driver: there })
  const caller = first.caller()
  const [one] = (await spawnMute(caller)) as [Instance]
  await dieBusy(first, async () => isRunning(await caller.instance(one.id)))

  const patient = await startFactory(undefined, { ...QUICK, hostLostMs: 60_000 })
  await waitFor(
    async () => {
      await patient.engine.pass()
      return (await first.engine.owned()).length === 0
    },
    { what: 'the lease of the lost machine to run out' },
  )
  await patient.engine.pass()
  expect(await caller.instance(one.id)).toMatchObject({ starts: 1, crashes: [] })

  const second = await startFactory(undefined, { ...QUICK, hostLostMs: 1000 })
  second.startLoops()
  const again = await caller.until(one.id, 'its replacement', (now) => now.starts === 2 && isRunning(now))
  expect(again.crashes).toMatchObject([{ reason: 'killed', detail: expect.stringContaining('not known') }])
  expect(again.place).toContain(second.driver.host)
})

test.concurrent('what runs and no instance claims is ended after a while, and nothing else', { timeout: LONG }, async ({
  startFactory,
}) => {
  const factory = await startFactory(undefined, { ...QUICK, orphanGraceMs: 300, orphanMs: 100 })
  factory.startLoops()
  const caller = factory.caller()
  const [one] = (await spawnMute(caller)) as [Instance]
  const claimed = await caller.until(one.id, 'its process', isRunning)
  const stray = await factory.driver.start(
    {
      launchId: newId(),
      instanceId: newId(),
      tenantId: newId(),
      blueprint: 'gone',
      version: 1,
      entry: { path: MUTE },
      args: [],
      env: {},
      secrets: {},
      cpu: 0.5,
      memoryBytes: 256 * 1024 ** 2,
      labels: {},
    },
    new AbortController().signal,
  )
  expect(await pidsIn(factory.driver)).toContain(stray['pid'])
  await waitFor(async () => (await pidsIn(factory.driver)).length === 1, {
    what: 'the stray to be gone',
    timeoutMs: 10_000,
  })
  expect(await pidsIn(factory.driver)).toEqual([pidOf(claimed)])
})

test.concurrent('a driver that cannot be asked costs time, and no instance', { timeout: LONG }, async ({
  startFactory,
  folder,
}) => {
  const real = driverIn(folder)
  let isAway = true
  const away = async <T>(work: () => Promise<T>): Promise<T> => {
    if (isAway) throw new Error('connect ECONNREFUSED')
    return await work()
  }
  const flaky: Driver = {
    ...real,
    start: async (launch, signal) => await away(async () => await real.start(launch, signal)),
    inspect: async (handle) => await away(async () => await real.inspect(handle)),
    list: async () => await away(async () => await real.list()),
  }
  const factory = await startFactory(undefined, QUICK, { driver: flaky })
  factory.startLoops()
  const caller = factory.caller()
  const [one] = (await spawnMute(caller)) as [Instance]
  await caller.until(one.id, 'a start in vain', (now) => now.starts === 1)
  isAway = false
  const running = await caller.until(one.id, 'its process', isRunning)
  isAway = true
  await waitFor(async () => (await factory.app.inject('/readyz')).statusCode === 200, {
    what: 'a factory that is ready all the same',
  })
  isAway = false
  const after = await caller.instance(one.id)
  expect(after).toMatchObject({ place: running.place, crashes: [] })
  expect(await pidsIn(real)).toEqual([pidOf(running)])
})
