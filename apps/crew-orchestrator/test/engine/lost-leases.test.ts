import type { ClaimedTask } from '@hypercode/contracts'
import { waitFor } from '@hypercode/testkit'
import { createBrake } from '../../src/domain/brake.ts'
import { sql } from 'kysely'
import { describe, expect } from 'vitest'
import { crewOf, stillTest as test, sweep } from '../harness.ts'
import type { AgentCaller } from '../harness.ts'
import { expectInvariants, expectNoDeadlocks } from '../invariants.ts'
import { claimed, letters, oneTask, overdue, readTask } from './passing-time.ts'

describe('a lease that runs out', () => {
  test('gives the task to another attempt, and the late agent is fenced', async ({ stage }) => {
    const { agent, task } = await claimed(stage, oneTask({ retry: { initialInterval: '1ms' } }))
    await sweep(stage)
    expect((await readTask(stage, task.taskId)).state).toBe('executing')
    await overdue(stage, 'lease_expires_at')
    await sweep(stage)
    expect(await readTask(stage, task.taskId)).toMatchObject({
      state: 'scheduled',
      error: { code: 'lease_lost' },
      reason: 'attempt 1 ended: lease_lost',
    })
    await overdue(stage, 'available_at')
    await sweep(stage)
    const other = await stage.agent(['work'])
    const [again] = (await other.claim()) as [ClaimedTask]
    expect(again).toMatchObject({ taskId: task.taskId, attempt: 2 })
    expect((await agent.complete(task)).status).toBe(409)
    expect((await other.complete(again)).status).toBe(200)
    await expectInvariants(stage.db)
  })

  test('a task that kills every agent fails after exactly its attempts, with the record of each', async ({ stage }) => {
    const agents = await Promise.all([1, 2, 3].map(() => stage.agent(['work'])))
    const mission = await stage.submit(oneTask({ retry: { maxAttempts: 3, initialInterval: '1ms' } }))
    for (const [index, agent] of agents.entries()) {
      expect(await agent.claim()).toMatchObject([{ attempt: index + 1, maxAttempts: 3 }])
      await overdue(stage, 'lease_expires_at')
      await sweep(stage)
      await overdue(stage, 'available_at')
      await sweep(stage)
    }
    expect(await stage.mission(mission.id)).toMatchObject({
      state: 'failed',
      error: { code: 'lease_lost', message: 'task a: the agent of attempt 3 stopped beating' },
    })
    const [letter] = await letters(stage)
    expect(
      letter?.attempts.map(({ attempt, outcome, agentInstanceId, error }) => [
        attempt,
        outcome,
        agentInstanceId,
        error?.code,
      ]),
    ).toEqual(agents.map((agent, index) => [index + 1, 'lease_lost', agent.instanceId, 'lease_lost']))
    expect(await (agents[0] as AgentCaller).claim({ waitMs: 0 })).toEqual([])
    await expectInvariants(stage.db)
  })

  test('waits while the brake holds, and is taken when it lets go', async ({ stage }) => {
    const { task } = await claimed(stage, oneTask())
    await overdue(stage, 'lease_expires_at')
    const brake = createBrake(200, 1)
    brake.failed()
    await sweep(stage, { brake })
    expect(brake.holding).toBe(true)
    expect((await readTask(stage, task.taskId)).state).toBe('executing')
    await waitFor(
      async () => {
        await sweep(stage, { brake })
        return (await readTask(stage, task.taskId)).state !== 'executing'
      },
      { what: 'the lease is taken' },
    )
    expect(await readTask(stage, task.taskId)).toMatchObject({ attempt: 1, error: { code: 'lease_lost' } })
  })

  // Goal: after an outage nothing waits for the brake that no beat can bring back. Method: of three leases that ran out one holder has
  // registered again, one was stopped and one is silent; the sweeper has just been away itself.
  test('waits for no brake when its holder registered again or was stopped', async ({ stage }) => {
    const held = [await claimed(stage, oneTask()), await claimed(stage, oneTask()), await claimed(stage, oneTask())]
    const [back, stopped, silent] = held as [(typeof held)[0], (typeof held)[0], (typeof held)[0]]
    const instances = stage.db.updateTable('agent_instances')
    await instances
      .set({ incarnation: back.agent.incarnation + 1 })
      .where('id', '=', back.agent.instanceId)
      .execute()
    await instances.set({ lifecycle: 'stopped' }).where('id', '=', stopped.agent.instanceId).execute()
    const brake = createBrake(15_000, 1000)
    brake.failed()
    await sweep(stage, { brake }) // a lease that has not run out is nobody's, whoever holds it
    for (const { task } of held) expect((await readTask(stage, task.taskId)).state).toBe('executing')
    await overdue(stage, 'lease_expires_at')
    await sweep(stage, { brake })
    expect(brake.holding).toBe(true)
    const states = await Promise.all(held.map(async ({ task }) => (await readTask(stage, task.taskId)).state))
    expect(states).toEqual(['scheduled', 'scheduled', 'executing'])
    expect((await readTask(stage, silent.task.taskId)).attempt).toBe(1)
    await expectInvariants(stage.db)
  })

  test('does not hold up timers: they fire while the brake holds', async ({ stage }) => {
    const { agent, task } = await claimed(stage, oneTask())
    const wait = { kind: 'timer', name: 'nap', delayMs: 60_000 }
    await agent.report({ taskId: task.taskId, attempt: 1, outcome: 'waiting', wait })
    await sql`update waits set fire_at = now() - interval '1 ms'`.execute(stage.db)
    await overdue(stage, 'available_at')
    const brake = createBrake(15_000, 1000)
    brake.failed()
    await sweep(stage, { brake })
    expect(brake.holding).toBe(true)
    expect((await readTask(stage, task.taskId)).state).toBe('queued')
    await expectInvariants(stage.db)
  })

  test('of holders that registered again counts for no share of silent ones', async ({ stage }) => {
    const [many, one] = [await stage.agent(['work'], { slots: 20 }), await stage.agent(['other'])]
    await stage.submit(crewOf('fan', [{ id: 'each', forEach: Array.from({ length: 20 }, () => 0) }]))
    await stage.submit(oneTask({ skill: 'other' }))
    expect(await many.claim({ max: 20 })).toHaveLength(20)
    const [alone] = (await one.claim()) as [ClaimedTask]
    await overdue(stage, 'lease_expires_at')
    const { instanceId, incarnation } = many
    await stage.db
      .updateTable('agent_instances')
      .set({ incarnation: incarnation + 1 })
      .where('id', '=', instanceId)
      .execute()
    await sweep(stage)
    const executing = await stage.db.selectFrom('tasks').select('id').where('state', '=', 'executing').execute()
    expect(executing).toEqual([])
    expect((await readTask(stage, alone.taskId)).state).toBe('scheduled')
    await expectInvariants(stage.db)
  })

  test('of many at once is taken gently', async ({ stage }) => {
    const agent = await stage.agent(['work'], { slots: 40 })
    await stage.submit(crewOf('fan', [{ id: 'each', forEach: Array.from({ length: 40 }, () => 0) }]))
    expect(await agent.claim({ max: 40 })).toHaveLength(40)
    await overdue(stage, 'lease_expires_at')
    const executing = async (): Promise<number> =>
      (await stage.db.selectFrom('tasks').select('id').where('state', '=', 'executing').execute()).length
    const brake = createBrake(15_000, 1000)
    const from = performance.now()
    await sweep(stage, { brake })
    expect(await executing()).toBe(39)
    const isLow = async (): Promise<boolean> => {
      await sweep(stage, { brake })
      const taken = 40 - (await executing())
      expect(taken).toBeLessThanOrEqual(1 + (5 * (performance.now() - from)) / 1000)
      return taken >= 10
    }
    await waitFor(isLow, { what: 'ten leases that are taken', timeoutMs: 10_000 })
    await expectInvariants(stage.db)
  })
})

describe('two replicas', () => {
  test('that sweep at once take every due task once', async ({ stage, replica }) => {
    const agent = await stage.agent(['work'], { slots: 600 })
    const mission = await stage.submit(
      crewOf('fan', [{ id: 'each', forEach: Array.from({ length: 600 }, () => 0), retry: { initialInterval: '1ms' } }]),
    )
    while ((await agent.claim({ max: 600, waitMs: 0 })).length > 0) continue
    await overdue(stage, 'attempt_deadline_at')
    await sql`update tasks set attempt_deadline_at = now() where state = 'executing'`.execute(stage.db)
    await Promise.all([sweep(stage), sweep(replica), sweep(stage), sweep(replica)])
    await overdue(stage, 'available_at', `state = 'scheduled'`)
    await Promise.all([sweep(stage), sweep(replica)])
    const events = await stage.events(mission.id)
    expect(events.filter((event) => event.type === 'task.retry.scheduled')).toHaveLength(600)
    const tasks = await stage.db.selectFrom('tasks').select('state').where('parent_id', 'is not', null).execute()
    expect(tasks.every((task) => task.state === 'queued')).toBe(true)
    await expectInvariants(stage.db)
    await expectNoDeadlocks(stage.db)
  })

  test('one that ends a forEach for its total time while its elements complete: no circle of locks', async ({
    stage,
    replica,
  }) => {
    const agent = await stage.agent(['work'], { slots: 100 })
    for (let round = 0; round < 8; round += 1) {
      const mission = await stage.submit(
        crewOf('fan', [{ id: 'each', forEach: [1, 2, 3, 4, 5, 6], timeouts: { total: '1h' } }], {
          policy: { onTaskFailure: 'continue' },
        }),
      )
      const tasks = await agent.claim({ max: 6 })
      await sql`update tasks set total_deadline_at = now() where state = 'waiting'`.execute(stage.db)
      await Promise.all([...tasks.map((task) => agent.complete(task, 1)), sweep(stage), sweep(replica), sweep(replica)])
      await sweep(stage)
      expect((await stage.mission(mission.id)).tasks.open).toBe(0)
    }
    await expectInvariants(stage.db)
    await expectNoDeadlocks(stage.db)
  })
})
