import { randomUUID } from 'node:crypto'
import { ROUTES } from '@hypercode/contracts'
import type { Instance } from '@hypercode/contracts'
import { DEFAULT_TENANT_ID } from '@hypercode/db'
import { signToken, waitFor } from '@hypercode/testkit/tools'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { fleetOf, isAlive, pidOf } from '../src/fleet.ts'
import type { Fleet } from '../src/fleet.ts'
import { JWT_SECRET, crewOf, startScenario } from './scenario.ts'
import type { Scenario } from './scenario.ts'

const LONG = 120_000
let scenario: Scenario
let fleet: Fleet
beforeAll(async () => {
  scenario = await startScenario({
    factories: 2,
    env: { FACTORY_AGENT_DRAIN_MS: '2000', FACTORY_ORPHAN_GRACE_MS: '3000' },
  })
  fleet = fleetOf(scenario)
})
afterAll(async () => scenario.stop())

const pidsOf = (instances: readonly Instance[]): number[] => instances.map(pidOf).sort((a, b) => a - b)

// Goal: running agents outlive their factory, and nobody starts them a second time.
// Method: both factories are killed with kill -9; one agent is killed while nobody looks; the processes are counted before and after.
test('factories that are killed find every running instance again, and start none twice', {
  timeout: LONG,
}, async () => {
  await fleet.blueprint('adopted', { resources: { cpu: 1, memory: '256Mi' } })
  const before = await fleet.spawn('adopted', { count: 6, waitMs: 30_000 })
  expect(before.map((one) => one.lifecycle)).toEqual(Array(6).fill('ready'))
  for (const factory of scenario.factories) factory.kill('SIGKILL')
  await Promise.all(scenario.factories.map(async (factory) => await factory.exited))
  expect(pidsOf(before).every(isAlive)).toBe(true)
  const [victim] = before as [Instance]
  process.kill(pidOf(victim), 'SIGKILL')
  await Promise.all(scenario.factories.map(async (factory) => await factory.restart()))

  const replaced = await fleet.until(
    victim.id,
    'the one that died meanwhile',
    (one) => one.starts === 2 && one.lifecycle === 'ready',
    30_000,
  )
  expect(replaced.crashes[0]).toMatchObject({ reason: 'killed', signal: 'SIGKILL' })
  const after = await fleet.list('adopted')
  expect(after).toHaveLength(6)
  const unharmed = (all: readonly Instance[]) => pidsOf(all.filter((one) => one.id !== victim.id))
  expect(unharmed(after)).toEqual(unharmed(before))
  const mission = await fleet.submit('adopted', Array(12).fill({ waitMs: 50 }))
  expect((await fleet.end(mission.id)).state).toBe('completed')
  await fleet.stop(after)
  expect(pidsOf(after).some(isAlive)).toBe(false)
})

test('spawned side by side, two factories together start each instance once', { timeout: LONG }, async () => {
  await fleet.blueprint('shared', { resources: { cpu: 1, memory: '256Mi' } })
  const spawned = (
    await Promise.all([1, 2, 3].map(async () => await fleet.spawn('shared', { count: 2, waitMs: 30_000 })))
  ).flat()
  expect(spawned).toHaveLength(6)
  expect(spawned.every((one) => one.lifecycle === 'ready' && one.starts === 1)).toBe(true)
  expect(new Set(pidsOf(spawned)).size).toBe(6)
  await fleet.stop(spawned)
})

test('what has nothing to do is put to sleep and wakes when there is work', { timeout: LONG }, async () => {
  const { version } = await fleet.blueprint('sleeper', { idleTtl: '1s' })
  const [one] = (await fleet.spawn('sleeper')) as [Instance]
  await fleet.until(one.id, 'sleep', (now) => now.lifecycle === 'hibernating' && now.place === undefined)
  await waitFor(() => !isAlive(pidOf(one)), { what: 'its process to end' })
  const mission = await fleet.submit('sleeper', [{}], { blueprint: `sleeper@${version}` })
  expect((await fleet.end(mission.id)).state).toBe('completed')
  expect(await fleet.get(one.id)).toMatchObject({ starts: 2, crashes: [] })
  await fleet.until(one.id, 'sleep again', (now) => now.lifecycle === 'hibernating' && now.place === undefined)
  // Any task that it could claim wakes it, also one that would take whoever has the skill.
  const ordinary = await fleet.submit('sleeper', [{}])
  expect((await fleet.end(ordinary.id)).state).toBe('completed')
  expect(await fleet.list('sleeper')).toHaveLength(1)
  await fleet.stop([one])
})

test('instances come and go with the work that requires their version', { timeout: LONG }, async () => {
  const { version } = await fleet.blueprint('elastic', { slots: 1, idleTtl: '1s', population: { min: 0, max: 3 } })
  const mission = await fleet.submit('elastic', Array(6).fill({ waitMs: 1500 }), { blueprint: `elastic@${version}` })
  await waitFor(async () => (await fleet.list('elastic')).length === 3, { what: 'three instances', timeoutMs: 20_000 })
  expect((await fleet.end(mission.id)).state).toBe('completed')
  expect((await fleet.list('elastic', false)).length + (await fleet.list('elastic')).length).toBe(3)
  await waitFor(async () => (await fleet.list('elastic')).length === 0, {
    what: 'all of them to leave',
    timeoutMs: 30_000,
  })
})

test('steering an instance: asleep, awake, restarted; what the lifecycle does not know is refused', {
  timeout: LONG,
}, async () => {
  const { client } = scenario
  await fleet.blueprint('steered')
  const [one] = (await fleet.spawn('steered')) as [Instance]
  const params = { id: one.id }
  await expect(client.call(ROUTES.wakeInstance, { params })).rejects.toMatchObject({ status: 409 })
  await expect(client.call(ROUTES.releaseInstance, { params })).rejects.toMatchObject({ status: 409 })
  expect((await client.call(ROUTES.hibernateInstance, { params })).body.lifecycle).toBe('hibernating')
  // Woken at once, while its process may still be on its way out.
  await client.call(ROUTES.wakeInstance, { params })
  const awake = await fleet.until(one.id, 'it to be awake', (now) => now.lifecycle === 'ready' && now.starts === 2)
  expect(awake.crashes).toEqual([])
  await client.call(ROUTES.restartInstance, { params })
  await fleet.until(one.id, 'the restart', (now) => now.lifecycle === 'ready' && now.starts === 3)
  await client.call(ROUTES.restartInstance, { params, body: { kill: true } })
  const again = await fleet.until(one.id, 'the hard restart', (now) => now.lifecycle === 'ready' && now.starts === 4)
  expect(again.crashes).toEqual([])
  await fleet.stop([one])
})

test('a crew is brought up, or told member by member what is missing', { timeout: LONG }, async () => {
  const { client } = scenario
  const { version } = await fleet.blueprint('crewed')
  const store = async (name: string, members: object[]) => {
    const manifest = { ...crewOf(name, []), spec: { members, tasks: [{ id: 't', member: 'a', input: {} }] } }
    await client.call(ROUTES.createCrew, { body: manifest as never })
  }
  await store('whole', [
    { id: 'a', skill: 'made.crewed', blueprint: `crewed@${version}` },
    { id: 'b', skill: 'made.crewed', blueprint: 'crewed@candidate' },
  ])
  const { body } = await client.call(ROUTES.assembleCrew, {
    params: { name: 'whole' },
    body: { waitMs: 25_000 },
    timeoutMs: 40_000,
  })
  expect(body.members.map((member) => [member.id, member.spawned, member.instanceIds.length])).toEqual([
    ['a', 1, 1],
    ['b', 0, 1],
  ])
  // Ready for it already: nothing is started for the second time.
  const again = await client.call(ROUTES.assembleCrew, { params: { name: 'whole' } })
  expect(again.body.members.map((member) => member.spawned)).toEqual([0, 0])

  await store('holed', [
    { id: 'a', skill: 'made.crewed' },
    { id: 'b', skill: 'made.nobody' },
    { id: 'c', skill: 'made.crewed', blueprint: 'gone@1' },
  ])
  await expect(client.call(ROUTES.assembleCrew, { params: { name: 'holed' } })).rejects.toMatchObject({
    status: 409,
    code: 'crew_incomplete',
    problem: { faults: [{ pointer: '/spec/members/1' }, { pointer: '/spec/members/2/blueprint' }] },
  })
  await fleet.stop(await fleet.list('crewed'))
})

test('the output of an instance is read through any factory, followed, and resumed', { timeout: LONG }, async () => {
  await fleet.blueprint('talker')
  const [one] = (await fleet.spawn('talker')) as [Instance]
  const token = signToken(JWT_SECRET, {
    subject: randomUUID(),
    tenantId: DEFAULT_TENANT_ID,
    scopes: ['instance:write'],
    issuer: 'https://hypercode.local',
    audience: 'hypercode',
  })
  for (const factory of scenario.factories) {
    const read = async (query: string): Promise<string> => {
      const answer = await fetch(`${factory.url}/v1/instances/${one.id}/logs?${query}`, {
        headers: { authorization: `Bearer ${token}` },
      })
      return await answer.text()
    }
    const text = await waitFor(
      async () => {
        const found = await read('follow=false')
        return found.includes('serving') ? found : undefined
      },
      { what: 'its first lines' },
    )
    const ids = [...text.matchAll(/^id: (\d+)$/gm)].map((match) => Number(match[1]))
    expect(ids).toEqual(ids.map((_, index) => index + 1))
    expect(await read(`follow=false&cursor=${ids.length}`)).not.toContain('"serving"')
  }
  await fleet.stop([one])
})
