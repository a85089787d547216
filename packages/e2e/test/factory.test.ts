import { ROUTES } from '@hypercode/contracts'
import type { Instance, Task } from '@hypercode/contracts'
import { waitFor } from '@hypercode/testkit/tools'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { fleetOf, isAlive, pidOf } from '../src/fleet.ts'
import type { Fleet } from '../src/fleet.ts'
import { startScenario } from './scenario.ts'
import type { Scenario } from './scenario.ts'

const LONG = 90_000
let scenario: Scenario
let fleet: Fleet
beforeAll(async () => {
  scenario = await startScenario({
    factories: 2,
    env: { FACTORY_SILENCE_GRACE_MS: '3000', FACTORY_AGENT_DRAIN_MS: '2000' },
  })
  fleet = fleetOf(scenario)
})
afterAll(async () => scenario.stop())

test('a spawned instance works under a credential of its own, which ends with it', { timeout: LONG }, async () => {
  await fleet.blueprint('plain', { env: { GREETING: 'hello' } })
  const [one] = (await fleet.spawn('plain', { labels: { team: 'a' } })) as [Instance]
  expect(one).toMatchObject({ lifecycle: 'ready', version: 1, starts: 1, role: 'member', labels: { team: 'a' } })
  const mission = await fleet.submit('plain', [{}])
  expect(await fleet.end(mission.id)).toMatchObject({
    state: 'completed',
    output: { t0: { pid: pidOf(one), greeting: 'hello' } },
  })
  await fleet.stop([one])
  expect(isAlive(pidOf(one))).toBe(false)
  const { body: client } = await scenario.client.call(ROUTES.getClient, { params: { id: one.subject } })
  expect(client.revokedAt).toBeDefined()
})

test('kill -9 is noticed by its exit, and the task that was in hand is finished by the replacement', {
  timeout: LONG,
}, async () => {
  await fleet.blueprint('killed')
  const [one] = (await fleet.spawn('killed')) as [Instance]
  const mission = await fleet.submit('killed', [{ waitMs: 1500 }])
  await waitFor(
    async () =>
      (await scenario.client.call(ROUTES.getMission, { params: { id: mission.id } })).body.state === 'running',
    { what: 'the task to be claimed' },
  )
  process.kill(pidOf(one), 'SIGKILL')
  const again = await fleet.until(one.id, 'its replacement', (now) => now.starts === 2 && now.lifecycle === 'ready')
  expect(again).toMatchObject({
    agentInstanceId: one.agentInstanceId,
    crashes: [{ reason: 'killed', signal: 'SIGKILL' }],
  })
  expect((await fleet.end(mission.id)).state).toBe('completed')
  await fleet.stop([one])
})

test('a main thread that stands still is told from a slow task, and out of memory from both', {
  timeout: LONG,
}, async () => {
  await fleet.blueprint('ailing', { watchdog: { hungAfter: '2s' }, resources: { cpu: 1, memory: '256Mi' } })
  const [one] = (await fleet.spawn('ailing')) as [Instance]
  const slow = await fleet.submit('ailing', [{ waitMs: 6000 }])
  expect((await fleet.end(slow.id)).state).toBe('completed')
  expect(await fleet.get(one.id)).toMatchObject({ starts: 1, crashes: [] })

  await fleet.submit('ailing', [{ blockMs: 60_000 }])
  const hung = await fleet.until(one.id, 'the hung process to be replaced', (now) => now.crashes.length > 0)
  expect(hung.crashes[0]).toMatchObject({ reason: 'hung', detail: expect.stringContaining('did not turn') })
  await waitFor(() => !isAlive(pidOf(one)), { what: 'the hung process to be gone' })
  await fleet.stop([one])

  await fleet.blueprint('hungry', { resources: { cpu: 1, memory: '256Mi' } })
  const [eater] = (await fleet.spawn('hungry')) as [Instance]
  await fleet.submit('hungry', [{ eat: true }])
  const fed = await fleet.until(eater.id, 'the limit of memory', (now) => now.crashes.length > 0)
  expect(fed.crashes[0]?.reason).toBe('out_of_memory')
  await fleet.stop([eater])
})

test('a frozen process is found by its silence', { timeout: LONG }, async () => {
  await fleet.blueprint('frozen')
  const [one] = (await fleet.spawn('frozen')) as [Instance]
  process.kill(pidOf(one), 'SIGSTOP')
  const again = await fleet.until(
    one.id,
    'its replacement',
    (now) => now.starts === 2 && now.lifecycle === 'ready',
    30_000,
  )
  expect(again.crashes[0]).toMatchObject({ reason: 'silent' })
  expect(isAlive(pidOf(one))).toBe(false)
  await fleet.stop([one])
})

const taskOf = async (id: string) => {
  const { body } = await scenario.client.call(ROUTES.listMissionTasks, { params: { id } })
  return body.items[0] as Task
}

test('a warm spare takes no work until it is promoted, serves a claim that waits already, and is replaced', {
  timeout: LONG,
}, async () => {
  await fleet.blueprint('warm', { warmPool: 1 })
  const [cold] = (await fleet.spawn('warm')) as [Instance]
  const spareOf = async () =>
    (await fleet.list('warm')).find((one) => one.role === 'spare' && one.readyAt !== undefined)
  const spare = await waitFor(spareOf, { what: 'a warm spare', timeoutMs: 20_000 })
  await fleet.stop([cold])
  const mission = await fleet.submit('warm', [{}])
  // The spare has asked for work all the while: its claim is older than the task, and is answered with nothing.
  await waitFor(
    async () => (await fleet.get(spare.id)).lifecycle === 'warming' && (await taskOf(mission.id)).reason !== undefined,
    {
      what: 'the platform to say why the task waits',
    },
  )
  expect((await taskOf(mission.id)).state).toBe('queued')

  const [warm] = (await fleet.spawn('warm')) as [Instance]
  expect(warm).toMatchObject({ id: spare.id, role: 'member', lifecycle: 'ready', starts: 1 })
  expect((await fleet.end(mission.id)).state).toBe('completed')
  await waitFor(async () => (await spareOf())?.id !== spare.id && (await spareOf()) !== undefined, {
    what: 'another spare',
    timeoutMs: 20_000,
  })
  await fleet.stop(await fleet.list('warm').then((all) => all.filter((one) => one.role === 'member')))
})
