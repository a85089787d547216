import { expect } from 'vitest'
import { crewOf, stillTest as test, sweep } from '../harness.ts'
import { expectInvariants } from '../invariants.ts'

// Goal: what was lost with an agent holds no place of anybody. Method: an agent with all its slots taken, in a limited queue and under
// a concurrency key, loses every lease; it comes back, and beside it another one is there.
test('an agent that lost all it held has its slots back, and the queue its places', async ({ stage }) => {
  const agent = await stage.agent(['work'], { slots: 3 })
  await stage.operator.call('PUT', '/v1/queues/work/limits', { maxExecuting: 4 })
  const each = Array.from({ length: 8 }, (_, n) => n)
  const concurrency = { key: 'one-place', limit: 4 }
  const mission = await stage.submit(
    crewOf('wide', [{ id: 'all', forEach: each, concurrency, retry: { initialInterval: '1ms' } }]),
  )
  const lost = await agent.claim({ max: 10 })
  expect(lost).toHaveLength(3)
  expect(await agent.claim({ max: 10, waitMs: 0 })).toEqual([])
  const past = new Date(Date.now() - 1000)
  await stage.db.updateTable('tasks').set({ lease_expires_at: past }).where('state', '=', 'executing').execute()
  await sweep(stage)
  const [taken, other] = [await agent.claim({ max: 10 }), await (await stage.agent(['work'])).claim({ max: 10 })]
  expect([taken.length, other.length]).toEqual([3, 1])
  for (const late of lost) expect((await agent.complete(late)).status).toBe(409)
  for (const task of taken) expect((await agent.complete(task)).status).toBe(200)
  expect((await stage.mission(mission.id)).tasks.open).toBe(6)
  await expectInvariants(stage.db)
})
