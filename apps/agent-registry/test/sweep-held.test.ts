import { throughProxy, waitFor } from '@hypercode/testkit'
import { isConnectionError } from '@hypercode/db'
import { expect } from 'vitest'
import { eventsOf, silence, test } from './registry.ts'
import { healthOf, makeInstances, sweeperOf } from './sweeping.ts'

test('at the start nobody is declared critical for one lease time', async ({ db, tenant, registry }) => {
  const ids = await makeInstances(db, tenant.id, 3)
  await silence(db, ids, 60_000)
  await registry.sweeper.turn()
  expect(registry.sweeper.brakeHolds).toBe(true)
  expect(await healthOf(db, ids)).toEqual(['warning ready'])
})

test('after a pause of its own it holds for one lease time, and whoever beats in it stays alive', async ({
  registry,
  db,
  tenant,
}) => {
  const agent = registry.caller()
  const { body } = await agent.register()
  await agent.beat(body.id, { incarnation: 1, seq: 1 })
  const [dead = ''] = await makeInstances(db, tenant.id, 1)
  const sweeper = await sweeperOf(db)
  await silence(db, [body.instanceId, dead], 60_000)
  sweeper.wait(60_000)
  await sweeper.turn()
  expect(sweeper.brakeHolds).toBe(true)
  expect(await sweeper.metric('hypercode_registry_brake{')).toContainEqual(expect.stringMatching(/reason="pause".* 1$/))
  expect(await healthOf(db, [body.instanceId, dead])).toEqual(['warning ready'])
  await agent.beat(body.id, { incarnation: 1, seq: 2 })
  for (let second = 0; second < 15; second += 1) {
    sweeper.wait(1000)
    await sweeper.turn()
  }
  expect(sweeper.brakeHolds).toBe(false)
  expect(await healthOf(db, [body.instanceId])).toEqual(['passing ready'])
  expect(await healthOf(db, [dead])).toEqual(['critical unhealthy'])
  const told = (await eventsOf(db, tenant.id)).filter((event) => event.instance_id === body.instanceId)
  expect(told.map((event) => event.body['to'])).not.toContain('critical')
})

test('a storm holds it twice and then goes on; nobody is spared for ever', async ({ db, tenant }) => {
  const ids = await makeInstances(db, tenant.id, 20)
  const sweeper = await sweeperOf(db)
  const silent = ids.slice(0, 10)
  await silence(db, silent, 16_000)
  let turns = 0
  do {
    await sweeper.turn()
    turns += 1
    sweeper.wait(1000)
    if (turns === 5) expect(await healthOf(db, silent)).toEqual(['warning ready'])
  } while (sweeper.brakeHolds && turns < 100)
  expect(turns).toBe(31)
  expect(await healthOf(db, silent)).toEqual(['critical unhealthy'])
  expect(await sweeper.metric('hypercode_registry_brake_holds_total')).toContainEqual(
    expect.stringMatching(/reason="storm".* 2$/),
  )
  sweeper.wait(1000)
  await sweeper.turn()
  expect(sweeper.brakeHolds).toBe(false)
})

test('9 of 9 that fall silent, or 30 of 100, are no storm', async ({ db, tenant }) => {
  const few = await makeInstances(db, tenant.id, 9)
  const sweeper = await sweeperOf(db)
  await silence(db, few, 16_000)
  await sweeper.turn()
  expect(await healthOf(db, few)).toEqual(['critical unhealthy'])
  const many = await makeInstances(db, tenant.id, 100)
  await silence(db, many.slice(0, 30), 16_000)
  await sweeper.turn()
  expect(await healthOf(db, many.slice(0, 30))).toEqual(['critical unhealthy'])
})

test('after the database was away it holds for one lease time', async ({ db, database, tenant }) => {
  await throughProxy(database.url, { poolMax: 1, queryTimeoutMs: 300 }, async (far, proxy) => {
    const ids = await makeInstances(db, tenant.id, 2)
    const sweeper = await sweeperOf(far)
    await silence(db, ids, 16_000)
    await proxy.setMode('refuse')
    await expect(sweeper.turn()).rejects.toSatisfy(isConnectionError)
    sweeper.wait(1000)
    await proxy.setMode('pass')
    await waitFor(
      async () => {
        await sweeper.turn()
        return true
      },
      { what: 'a sweep that reaches the database' },
    )
    expect(sweeper.brakeHolds).toBe(true)
    expect(await healthOf(db, ids)).toEqual(['warning ready'])
    for (let second = 0; second < 16; second += 1) {
      sweeper.wait(1000)
      await sweeper.turn()
    }
    expect(await healthOf(db, ids)).toEqual(['critical unhealthy'])
  })
})
