import { ROUTES } from '@hypercode/contracts'
import { ApiError, createClient } from '@hypercode/client'
import type { HyperClient } from '@hypercode/client'
import { createTestClient } from '@hypercode/testkit'
import { expect } from 'vitest'
import { test as base } from './support/gateway.ts'
import { addMissionEvents, createMission, hintSender } from './support/missions.ts'

const test = base.extend('connect', async ({ client }, { onCleanup }) => {
  const open: HyperClient[] = []
  onCleanup(async () => void (await Promise.all(open.map(async (one) => await one.close()))))
  return (
    gateway: { url: string },
    credentials = { clientId: client.id, clientSecret: client.secret },
  ): HyperClient => {
    const one = createClient({ baseUrl: gateway.url, credentials })
    open.push(one)
    return one
  }
})

test('the typed client logs in, calls, and is told what it may not do', async ({
  startGateway,
  db,
  tenant,
  connect,
}) => {
  const gateway = await startGateway()
  const made = await connect(gateway).call(ROUTES.createClient, {
    body: { name: 'reader', scopes: ['mission:read'] },
  })
  expect(made.status).toBe(201)
  const weak = await createTestClient(db, tenant.id, ['mission:read'])
  const refused = connect(gateway, { clientId: weak.id, clientSecret: weak.secret }).call(ROUTES.listClients, {})
  await expect(refused).rejects.toMatchObject({ status: 403, code: 'insufficient_scope' })
  await expect(refused).rejects.toBeInstanceOf(ApiError)
})

// Goal: a reader of the typed client sees a mission to its end, across a gateway that goes away in the middle.
test('the typed client follows a mission over a change of replicas', async ({
  startGateway,
  db,
  redis,
  keys,
  tenant,
  connect,
}) => {
  const hint = hintSender(db, redis, keys)
  const mission = await createMission(db, tenant.id)
  const first = await startGateway()
  const port = Number(new URL(first.url).port)
  const reader = connect(first)
  const seen: number[] = []
  const read = async (): Promise<void> => {
    for await (const event of reader.stream(ROUTES.watchMission, { params: { id: mission.id } })) {
      seen.push(event.seq)
      if (event.seq === 3) await replace()
    }
  }
  const replace = async (): Promise<void> => {
    await first.close()
    const second = await startGateway({}, {}, port)
    await hint(await addMissionEvents(db, mission, ['task.completed', 'mission.completed']))
    expect(second.url).toBe(first.url)
  }
  await hint(await addMissionEvents(db, mission, ['mission.submitted', 'task.queued', 'task.claimed']))
  await read()
  expect(seen).toEqual([1, 2, 3, 4, 5])

  // One that has seen everything is not kept waiting.
  const again = []
  for await (const event of reader.stream(ROUTES.watchMission, { params: { id: mission.id }, lastEventId: '5' })) {
    again.push(event)
  }
  expect(again).toEqual([])
})
