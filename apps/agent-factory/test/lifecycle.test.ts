import { expect } from 'vitest'
import { waitFor } from '@hypercode/testkit'
import { pidOf, test } from './factory.ts'

const SLOW = 60_000

test('a spawned instance is ready after its first passing beat, with a credential of its own, and leaves nothing when it is stopped', {
  timeout: SLOW,
}, async ({ gateway, startFactory, db, folder }) => {
  void folder
  const factory = await startFactory(gateway.url)
  factory.startLoops()
  const caller = factory.caller()
  await caller.blueprint('coder')
  const [spawned] = await caller.spawn('coder', 'candidate', { waitMs: 20_000 })
  expect(spawned).toMatchObject({ lifecycle: 'ready', blueprint: 'coder', version: 1, role: 'member', starts: 1 })
  const id = String(spawned?.id)
  const agent = await db
    .selectFrom('agent_instances')
    .selectAll()
    .where('subject', '=', String(spawned?.subject))
    .executeTakeFirstOrThrow()
  expect(agent).toMatchObject({ id: spawned?.agentInstanceId, lifecycle: 'ready', health: 'passing' })
  const stopped = await caller.call('POST', `/v1/instances/${id}:stop`)
  expect(stopped.body).toMatchObject({ lifecycle: 'draining' })
  await caller.until(id, 'the instance to end', (one) => one.endedAt !== undefined)
  expect(await factory.driver.list()).toEqual([])
  const client = await db
    .selectFrom('clients')
    .select('revoked_at')
    .where('id', '=', String(spawned?.subject))
    .executeTakeFirstOrThrow()
  expect(client.revoked_at).not.toBeNull()
})

test('kill -9 is noticed and the instance is ready again under its old identity', { timeout: SLOW }, async ({
  gateway,
  startFactory,
}) => {
  const factory = await startFactory(gateway.url)
  factory.startLoops()
  const caller = factory.caller()
  await caller.blueprint('coder')
  const [spawned] = await caller.spawn('coder', 1, { waitMs: 20_000 })
  const id = String(spawned?.id)
  const killedAt = performance.now()
  process.kill(pidOf(await caller.instance(id)), 'SIGKILL')
  const again = await caller.until(
    id,
    'the replacement to be ready',
    (one) => one.starts === 2 && one.lifecycle === 'ready',
  )
  expect(performance.now() - killedAt).toBeLessThan(10_000)
  expect(again.crashes[0]).toMatchObject({ reason: 'killed', signal: 'SIGKILL' })
  expect(again.agentInstanceId).toBe(spawned?.agentInstanceId)
})

test('what crashes again and again is quarantined with its last lines, and released it tries again', {
  timeout: SLOW,
}, async ({ gateway, startFactory }) => {
  const factory = await startFactory(gateway.url)
  factory.startLoops()
  const caller = factory.caller()
  await caller.blueprint('crasher', { args: ['--crash'], restart: { initialInterval: '50ms', crashes: 3 } })
  const [spawned] = await caller.spawn('crasher', 1)
  const id = String(spawned?.id)
  const quarantined = await caller.until(id, 'quarantine', (one) => one.lifecycle === 'quarantined')
  expect(quarantined).toMatchObject({ starts: 3, reason: expect.stringContaining('exit code 7') })
  expect(quarantined.crashes).toHaveLength(3)
  await waitFor(async () => (await factory.driver.list()).length === 0, { what: 'its process to be gone' })
  await caller.call('POST', `/v1/instances/${id}:release`)
  await caller.until(id, 'quarantine once more', (one) => one.lifecycle === 'quarantined' && one.starts === 6)
})
