import { expect } from 'vitest'
import { card, eventsOf, giveTask, leaseLeftMs, test } from './registry.ts'

test('the first registration makes agent and instance, the next one is a new incarnation', async ({
  registry,
  db,
  tenant,
}) => {
  const agent = registry.caller()
  const first = await agent.register()
  expect(first.status).toBe(201)
  expect(first.body).toMatchObject({ incarnation: 1, leaseMs: 15_000, heartbeatMs: 5000 })
  expect(first.headers['location']).toBe(`/v1/agents/${first.body.id}`)
  const again = await agent.register()
  expect(again.status).toBe(200)
  expect(again.body).toEqual({ ...first.body, incarnation: 2 })
  const read = await agent.read(first.body.id)
  expect(read).toMatchObject({ name: 'coder', health: 'unknown', labels: {} })
  expect(read.instances).toMatchObject([
    { id: first.body.instanceId, lifecycle: 'ready', health: 'unknown', incarnation: 2 },
  ])
  expect((await eventsOf(db, tenant.id)).map((event) => event.type)).toEqual(['agent.registered', 'agent.registered'])
})
