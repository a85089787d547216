import { expect } from 'vitest'
import { waitFor } from '@hypercode/testkit'
import type { Instance } from '@hypercode/contracts'
import { test } from './factory.ts'

const LONG = 60_000
const QUICK = { tickMs: 50 }

test('what crashes again and again is quarantined with its last lines, and tries again when it is released', {
  timeout: LONG,
}, async ({ startFactory, db, tenant }) => {
  const factory = await startFactory(undefined, QUICK)
  factory.startLoops()
  const caller = factory.caller()
  await caller.blueprint('crasher', { args: ['--crash'], restart: { initialInterval: '50ms', crashes: 3 } })
  const [{ id }] = (await caller.spawn('crasher', 1)) as [Instance]
  const first = await caller.until(id, 'quarantine', (one) => one.lifecycle === 'quarantined')
  expect(first).toMatchObject({
    starts: 3,
    reason: 'Crashed 3 times within 60 s, the last time: it ended by itself (exit code 7).',
  })
  expect(first.crashes.map((crash) => crash.exitCode)).toEqual([7, 7, 7])
  expect(first.lastLines?.join('\n')).toContain('about to crash')
  await waitFor(async () => (await factory.driver.list()).length === 0, { what: 'its process to be gone' })

  expect((await caller.call('POST', `/v1/instances/${id}:restart`)).status).toBe(409)
  const released = await caller.call('POST', `/v1/instances/${id}:release`)
  expect(released.body).toMatchObject({ lifecycle: 'provisioning', crashes: [] })
  await caller.until(id, 'quarantine once more', (one) => one.lifecycle === 'quarantined' && one.starts === 6)
  await caller.call('POST', `/v1/instances/${id}:stop`)
  await caller.until(id, 'its end', (one) => one.endedAt !== undefined)

  const events = await db
    .selectFrom('agent_events')
    .select(['seq', 'type', 'ref'])
    .where('tenant_id', '=', tenant.id)
    .orderBy('seq')
    .execute()
  expect(events.map((event) => event.seq)).toEqual(events.map((_, index) => index + 1))
  const own = events.filter((event) => event.ref === `instances/${id}`).map((event) => event.type)
  const round = ['instance.crashed', 'instance.crashed', 'instance.quarantined']
  expect(own).toEqual(['instance.spawned', ...round, ...round, 'instance.stopped'])
})

test.for([
  ['never', 'ended after the first crash', 1],
  ['on-failure', 'tried again', 2],
] as const)('restart policy %s: %s', { timeout: LONG }, async ([policy, , starts], { startFactory }) => {
  const factory = await startFactory(undefined, QUICK)
  factory.startLoops()
  const caller = factory.caller()
  await caller.blueprint('crasher', { args: ['--crash'], restart: { policy, initialInterval: '50ms', crashes: 2 } })
  const [{ id }] = (await caller.spawn('crasher', 1)) as [Instance]
  const last = await caller.until(id, 'the end', (one) => one.endedAt !== undefined || one.lifecycle === 'quarantined')
  expect(last).toMatchObject({ starts, crashes: Array(starts).fill({ reason: 'exited', exitCode: 7 }) })
})

test('a start that is refused says why and needs no process: a secret that was taken away', { timeout: LONG }, async ({
  startFactory,
}) => {
  const factory = await startFactory(undefined, QUICK)
  const [{ id }] = await (async () => {
    const caller = factory.caller()
    await caller.blueprint('poor', { restart: { crashes: 1 } })
    return (await caller.spawn('poor', 1)) as [Instance]
  })()
  const secrets = { has: () => true, read: () => 'x'.repeat(40) }
  const broken = await startFactory(undefined, {
    ...QUICK,
    launch: { agentUrl: 'http://127.0.0.1:9', agentDrainMs: 500, handedOn: {}, allowsPath: () => false, secrets },
  })
  broken.startLoops()
  const one = await broken.caller().until(id, 'quarantine', (now) => now.lifecycle === 'quarantined')
  expect(one.crashes[0]).toMatchObject({ reason: 'start_failed', detail: expect.stringContaining('entry is gone') })
  expect(await factory.driver.list()).toEqual([])
})

test('the next start waits for its time, also when what was left of the last one had to be killed first', {
  timeout: LONG,
}, async ({ startFactory }) => {
  const factory = await startFactory(undefined, QUICK)
  factory.startLoops()
  const caller = factory.caller()
  await caller.blueprint('mute', { watchdog: { readyWithin: '1s' }, restart: { initialInterval: '2s' } })
  const [{ id }] = (await caller.spawn('mute', 1)) as [Instance]
  const again = await caller.until(id, 'its second start', (one) => one.starts === 2)
  const [crash] = again.crashes
  expect(crash?.reason).toBe('not_ready')
  expect(Date.parse(String(again.startedAt)) - Date.parse(String(crash?.at))).toBeGreaterThanOrEqual(2000)
})
