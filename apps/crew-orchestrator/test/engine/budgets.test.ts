import type { ClaimedTask } from '@hypercode/contracts'
import { sql } from 'kysely'
import { describe, expect } from 'vitest'
import { explainKey } from '../explain/explaining.ts'
import { crewOf, stillTest as test, sweep } from '../harness.ts'
import type { AgentCaller } from '../harness.ts'
import { expectInvariants } from '../invariants.ts'
import { costsOf, crew, pauses, resume, use } from './spending.ts'

describe('a mission that has used up its budget', () => {
  test('is paused and says why, begins nothing further, and what runs comes to its end', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const mission = await stage.submit(crew(3, { tokens: 200, usd: 5 }))
    const [first, second] = (await agent.claim({ max: 2 })) as [ClaimedTask, ClaimedTask]
    expect((await use(agent, first)).status).toBe(204)
    expect((await stage.mission(mission.id)).state).toBe('running')
    expect((await use(agent, second)).status).toBe(204)
    expect((await stage.mission(mission.id)).state).toBe('paused')
    const reason = 'its budget is used up: 200 of 200 tokens and 0.2 of 5 USD'
    expect(await pauses(stage, mission.id)).toEqual([{ reason }])
    expect(await agent.claim({ waitMs: 300 })).toEqual([])
    // It goes on to use and to report; what fails is not tried again.
    expect((await use(agent, first, { usd: 0.3 }, 'more')).status).toBe(204)
    await agent.complete(first)
    await agent.fail(second, { retryAfterMs: 0 })
    await stage.db
      .updateTable('tasks')
      .set({ available_at: new Date(0) })
      .where('id', '=', second.taskId)
      .execute()
    await sweep(stage)
    expect(await agent.claim({ waitMs: 300 })).toEqual([])
    expect(await costsOf(stage, mission.id)).toMatchObject({
      budget: { tokens: 200, usd: 5, exhaustedAt: expect.any(String) },
      total: { usd: 0.5 },
    })
    const audit = await sql`select actor, detail from audit where action = 'mission.paused'`.execute(stage.db)
    expect(audit.rows).toEqual([{ actor: 'system', detail: { reason } }])
    await expectInvariants(stage.db)
  })

  test('counts a repeated call once, and money in decimals', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const mission = await stage.submit(crew(1, { usd: 0.3 }))
    const [task] = (await agent.claim()) as [ClaimedTask]
    for (const key of ['a', 'a', 'b', 'b']) await use(agent, task, {}, key)
    expect((await stage.mission(mission.id)).state).toBe('running')
    // In doubles three times 0.1 is more than 0.3, and ten times less than 1.
    await use(agent, task, {}, 'c')
    expect(await pauses(stage, mission.id)).toEqual([{ reason: 'its budget is used up: 0.3 of 0.3 USD' }])
    await expectInvariants(stage.db)
  })

  test('says so when it is asked why a task does not run, with what opens it', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const mission = await stage.submit(crew(2, { tokens: 100 }))
    const gate = async () => (await explainKey(stage, mission.id, 't1')).gates.find((one) => one.gate === 'budget')
    expect(await gate()).toEqual({ gate: 'budget', status: 'pass', detail: '0 of 100 tokens are used' })
    const [task] = (await agent.claim({ max: 1 })) as [ClaimedTask]
    await use(agent, task)
    const explanation = await explainKey(stage, mission.id, 't1')
    expect(await gate()).toMatchObject({
      status: 'fail',
      detail: expect.stringContaining('its budget is used up: 100 of 100 tokens'),
      holders: [{ kind: 'mission', id: mission.id }],
      since: expect.any(String),
      command: { method: 'POST', path: `/v1/missions/${mission.id}:resume` },
    })
    expect(explanation.summary).toBe((await gate())?.detail)
    expect((await explainKey(stage, mission.id, 't0')).verdict).toBe('running')
  })

  test('is not resumed before its budget is raised; that is audited, and then it goes on', async ({ stage, db }) => {
    const agent = await stage.agent(['work'])
    const mission = await stage.submit(crew(2, { tokens: 100, usd: 1 }))
    const [task] = (await agent.claim({ max: 1 })) as [ClaimedTask]
    await use(agent, task)
    await agent.complete(task)
    for (const body of [undefined, {}, { budget: { usd: 2 } }, { budget: { tokens: 100 } }])
      expect([body, (await resume(stage, mission.id, body)).status]).toEqual([body, 409])
    expect((await resume(stage, mission.id)).body.detail).toBe(
      'The budget of the mission is used up: 100 of 100 tokens and 0.1 of 1 USD.',
    )
    expect(await agent.claim({ waitMs: 300 })).toEqual([])
    expect(await resume(stage, mission.id, { budget: { tokens: 150 } })).toMatchObject({
      status: 200,
      body: { state: 'running' },
    })
    const [next] = (await agent.claim()) as [ClaimedTask]
    // And once more, when it has used that up as well.
    await use(agent, next)
    expect((await stage.mission(mission.id)).state).toBe('paused')
    await agent.complete(next)
    expect((await stage.mission(mission.id)).state).toBe('completed')
    expect(await pauses(stage, mission.id)).toHaveLength(2)
    const audit =
      await sql`select actor, detail from audit where ref = ${mission.id} and action = 'mission.budget_raised'`.execute(
        db,
      )
    // What was refused has left nothing.
    expect(audit.rows).toEqual([
      { actor: stage.operator.subject, detail: { tokens: 150, budget: '100 of 150 tokens and 0.1 of 1 USD' } },
    ])
    await expectInvariants(stage.db)
  })

  test('is canceled as any other, and undoes what it has done without a budget', async ({ stage }) => {
    const agent = await stage.agent(['work', 'undo'])
    const mission = await stage.submit(
      crewOf(
        'spender',
        [
          { id: 'a', compensate: { skill: 'undo' } },
          { id: 'b', dependsOn: ['a'] },
        ],
        {
          policy: { budget: { tokens: 100 } },
        },
      ),
    )
    const [task] = (await agent.claim()) as [ClaimedTask]
    await use(agent, task)
    await agent.complete(task)
    expect(await agent.claim({ waitMs: 300 })).toEqual([])
    await stage.operator.call('POST', `/v1/missions/${mission.id}:cancel`)
    const [undo] = (await agent.claim()) as [ClaimedTask]
    expect(undo.key).toBe('a:compensate')
    await use(agent, undo)
    await agent.complete(undo)
    expect((await stage.mission(mission.id)).state).toBe('canceled')
    expect(await pauses(stage, mission.id)).toHaveLength(1)
    await expectInvariants(stage.db)
  })
})

// Goal: nothing begins once the budget is used up, whoever asks and whoever reports. Method: agents in two replicas claim, use and
// complete at once, several missions with budgets of random sizes; the attempts are held against the instant in which each was used up.
test.for([1, 2, 3])(
  'of agents in two replicas none begins anything after it (seed %i)',
  async (seed, { stage, replica }) => {
    let state = seed
    const random = (below: number): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
      return Math.floor((state / 2 ** 32) * below)
    }
    const missions = await Promise.all(
      Array.from({ length: 5 }, async () => await stage.submit(crew(30, { tokens: 300 + random(1200) }))),
    )
    const work = async (agent: AgentCaller): Promise<void> => {
      for (;;) {
        const claimed = await agent.claim({ max: 1 + random(3), waitMs: 200 })
        if (claimed.length === 0) return
        await Promise.all(
          claimed.map(async (task) => {
            expect((await use(agent, task, { inputTokens: 50 + random(100) })).status).toBe(204)
            await agent.complete(task)
          }),
        )
      }
    }
    const agents = await Promise.all(Array.from({ length: 6 }, async () => await stage.agent(['work'], { slots: 5 })))
    await Promise.all(agents.map(async (agent, n) => await work(n % 2 === 0 ? agent : await replica.adopt(agent))))
    for (const { id } of missions) {
      expect((await stage.mission(id)).state).toBe('paused')
      const types = (await stage.events(id)).map(({ type }) => type)
      expect(types.slice(types.indexOf('mission.paused') + 1)).not.toContain('task.claimed')
      expect(await pauses(stage, id)).toHaveLength(1)
    }
    const late = await sql`
    select a.task_id from attempts a join tasks t on t.id = a.task_id join mission_budgets b on b.mission_id = t.mission_id
    where a.started_at > b.exhausted_at`.execute(stage.db)
    expect(late.rows).toEqual([])
    await expectInvariants(stage.db)
  },
)

test('two replicas that reach the limit at once pause it once, and count both', async ({ stage, replica }) => {
  const agent = await stage.agent(['work'])
  const mission = await stage.submit(crew(3, { tokens: 200 }))
  const [first, second] = (await agent.claim({ max: 2 })) as [ClaimedTask, ClaimedTask]
  const elsewhere = await replica.adopt(agent)
  const answers = await Promise.all(
    Array.from({ length: 10 }, (_, n) =>
      n % 2 === 0 ? use(agent, first, {}, `${n}`) : use(elsewhere, second, {}, `${n}`),
    ),
  )
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([204]))
  const { rows } = await sql`select tokens_used from mission_budgets where mission_id = ${mission.id}`.execute(stage.db)
  expect(rows).toEqual([{ tokens_used: 1000 }])
  expect(await pauses(stage, mission.id)).toHaveLength(1)
  await expectInvariants(stage.db)
})

// Goal: a claim that was under way is let through, and comes before the pause in the history. Method: its task is locked by hand.
test('a call waits for the claim that has a task of the mission in hand', async ({ stage }) => {
  const agent = await stage.agent(['work'])
  const mission = await stage.submit(crew(3, { tokens: 100 }))
  const [task] = (await agent.claim({ max: 1 })) as [ClaimedTask]
  let used: Promise<unknown> | undefined
  await stage.db.transaction().execute(async (trx) => {
    await sql`select 1 from tasks where mission_id = ${mission.id} and key = 't2' for update`.execute(trx)
    used = use(agent, task)
    await new Promise((done) => setTimeout(done, 100))
    expect((await stage.mission(mission.id)).state).toBe('running')
    // As a claim that holds the task asks for its mission: the call must not sit on it.
    await sql`select 1 from missions where id = ${mission.id} for no key update`.execute(trx)
  })
  expect(await used).toMatchObject({ status: 204 })
  expect((await stage.mission(mission.id)).state).toBe('paused')
  expect(await agent.claim({ waitMs: 300 })).toEqual([])
  await expectInvariants(stage.db)
})
