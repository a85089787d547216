import type { ClaimedTask, DeadLetter, Effect, Mission, Problem, Task } from '@hypercode/contracts'
import { sql } from 'kysely'
import { describe, expect } from 'vitest'
import { crewOf, stillTest as test, sweep } from '../harness.ts'
import type { AgentCaller, Stage } from '../harness.ts'
import { expectInvariants } from '../invariants.ts'

const put = async (agent: AgentCaller, { taskId, attempt }: ClaimedTask, body: object, name = 'pay') =>
  await agent.call<Effect & Problem>('PUT', `/v1/tasks/${taskId}/effects/${encodeURIComponent(name)}`, {
    incarnation: agent.incarnation,
    attempt,
    state: 'intent',
    idempotent: false,
    ...body,
  })
const resolve = async (stage: Stage, taskId: string, body: object, name = 'pay') =>
  await stage.operator.call<Effect & Problem>('POST', `/v1/tasks/${taskId}/effects/${name}:resolve`, body)
const one = async (agent: AgentCaller): Promise<ClaimedTask> => {
  const [task] = await agent.claim({ max: 1 })
  if (task === undefined) throw new Error('there is nothing to claim')
  return task
}
const started = async (stage: Stage): Promise<{ agent: AgentCaller; mission: Mission; task: ClaimedTask }> => {
  const agent = await stage.agent(['work'])
  const mission = await stage.submit(crewOf('x', [{ id: 'a', retry: { maxAttempts: 2 } }]))
  return { agent, mission, task: await one(agent) }
}
/** The agent of the task stops beating: its attempt is over, and the next one begins. */
async function cutOff(stage: Stage, agent: AgentCaller): Promise<ClaimedTask> {
  await sql`update tasks set lease_expires_at = now() - interval '1 second' where state = 'executing'`.execute(stage.db)
  await sweep(stage)
  await sql`update tasks set available_at = now() where state = 'scheduled'`.execute(stage.db)
  await sweep(stage)
  return await one(agent)
}
const stateOf = async (stage: Stage, { id }: Mission): Promise<Task> => (await stage.tasks(id))[0] as Task

describe('an effect', () => {
  test('is written down before and after it, and is known to every later attempt', async ({ stage }) => {
    const { agent, mission, task } = await started(stage)
    expect(await put(agent, task, {})).toMatchObject({
      status: 201,
      body: { name: 'pay', key: `${task.taskId}:pay`, state: 'intent', idempotent: false, attempt: 1 },
    })
    // The answer was lost: the same attempt asks again.
    expect((await put(agent, task, {})).status).toBe(200)
    for (const status of [201, 200])
      expect(await put(agent, task, { state: 'done', response: { id: 7 } })).toMatchObject({
        status,
        body: { state: 'done', response: { id: 7 } },
      })
    const again = await cutOff(stage, agent)
    expect(again.attempt).toBe(2)
    expect(await put(agent, again, {})).toMatchObject({
      status: 200,
      body: { state: 'done', response: { id: 7 }, attempt: 1 },
    })
    await agent.complete(again)
    const { body } = await stage.operator.call<{ items: Effect[] }>('GET', `/v1/tasks/${task.taskId}/effects`)
    expect(body.items.map(({ name, state }) => [name, state])).toEqual([['pay', 'done']])
    const told = (await stage.events(mission.id))
      .map((event) => event.type)
      .filter((type) => type.startsWith('task.effect'))
    expect(told).toEqual(['task.effect.begun', 'task.effect.done'])
    await expectInvariants(stage.db)
  })

  test('that an attempt was cut off in is taken over under the same key when it is idempotent', async ({ stage }) => {
    const { agent, task } = await started(stage)
    await put(agent, task, { idempotent: true })
    const again = await cutOff(stage, agent)
    expect(await put(agent, again, { idempotent: true })).toMatchObject({
      status: 200,
      body: { state: 'intent', key: `${task.taskId}:pay`, attempt: 2 },
    })
    expect((await put(agent, again, { state: 'done', idempotent: true })).body.state).toBe('done')
    await agent.complete(again)
    await expectInvariants(stage.db)
  })

  test('that an attempt was cut off in and must not be repeated pauses the task, until a person says it has happened', async ({
    stage,
  }) => {
    const { agent, mission, task } = await started(stage)
    await put(agent, task, {})
    const again = await cutOff(stage, agent)
    // What a later attempt calls it does not count: the first one said what it is.
    expect(await put(agent, again, { idempotent: true })).toMatchObject({
      status: 409,
      body: { code: 'effect_unknown' },
    })
    expect(await stateOf(stage, mission)).toMatchObject({
      state: 'paused',
      reason: expect.stringContaining('effect pay'),
      error: { code: 'effect_unknown' },
    })
    expect((await agent.complete(again)).status).toBe(409)
    expect((await put(agent, again, { state: 'done' })).status).toBe(409)
    expect(await resolve(stage, task.taskId, { done: true, response: { id: 9 } })).toMatchObject({
      status: 200,
      body: { state: 'done', response: { id: 9 }, resolvedBy: stage.operator.subject },
    })
    expect((await resolve(stage, task.taskId, { done: true })).status).toBe(409)
    const third = await one(agent)
    expect(third).toMatchObject({ attempt: 3, maxAttempts: 3 })
    expect((await put(agent, third, {})).body).toMatchObject({ state: 'done', response: { id: 9 } })
    await agent.complete(third)
    expect((await stage.mission(mission.id)).state).toBe('completed')
    const letters = await stage.operator.call<{ items: DeadLetter[] }>('GET', '/v1/dead-letters')
    expect(letters.body.items).toMatchObject([{ resolution: 'replayed', error: { code: 'effect_unknown' } }])
    const audit = await stage.db.selectFrom('audit').select('detail').where('action', '=', 'effect.resolved').execute()
    expect(audit).toMatchObject([{ detail: { effect: 'pay', done: true } }])
    await expectInvariants(stage.db)
  })

  test('of which a person says that it has not happened is done by the next attempt', async ({ stage }) => {
    const { agent, task } = await started(stage)
    await put(agent, task, {})
    await put(agent, await cutOff(stage, agent), {})
    expect((await resolve(stage, task.taskId, { done: false })).status).toBe(200)
    const third = await one(agent)
    expect(await put(agent, third, {})).toMatchObject({ status: 201, body: { attempt: 3 } })
    await expectInvariants(stage.db)
  })

  test('that is unknown stays so when its task is replayed, and the task is given up with its letter', async ({
    stage,
  }) => {
    const { agent, mission, task } = await started(stage)
    await put(agent, task, {})
    await put(agent, await cutOff(stage, agent), {})
    const open = async () =>
      (await stage.operator.call<{ items: [DeadLetter] }>('GET', '/v1/dead-letters?open=true')).body.items[0]
    await stage.operator.call('POST', `/v1/dead-letters/${(await open()).id}:replay`)
    expect((await put(agent, await one(agent), {})).body.code).toBe('effect_unknown')
    await stage.operator.call('POST', `/v1/dead-letters/${(await open()).id}:discard`)
    expect((await stage.mission(mission.id)).state).toBe('failed')
    expect((await resolve(stage, task.taskId, { done: true })).status).toBe(409)
    await expectInvariants(stage.db)
  })

  test('with another request under its name is refused, and done without an intent too', async ({ stage }) => {
    const { agent, task } = await started(stage)
    await put(agent, task, { requestHash: 'a' })
    expect((await put(agent, task, { requestHash: 'b' })).body.code).toBe('idempotency_mismatch')
    expect((await put(agent, task, { state: 'done' }, 'never begun')).body.code).toBe('conflict')
    expect((await put(agent, task, { state: 'done', response: 'x'.repeat(70_000) })).status).toBe(422)
    await expectInvariants(stage.db)
  })

  test('that one attempt has begun is not called done by another one that has not taken it over', async ({ stage }) => {
    const { agent, task } = await started(stage)
    await put(agent, task, { idempotent: true })
    const again = await cutOff(stage, agent)
    expect((await put(agent, again, { state: 'done', response: { id: 7 } })).body.code).toBe('conflict')
    expect((await put(agent, again, { idempotent: true })).body).toMatchObject({ state: 'intent', attempt: 2 })
    expect((await put(agent, again, { state: 'done', response: { id: 8 } })).body.response).toEqual({ id: 8 })
    await expectInvariants(stage.db)
  })

  test('is resolved and seen only in the own tenant', async ({ stage, secondTenant }) => {
    const { agent, task } = await started(stage)
    await put(agent, task, {})
    await put(agent, await cutOff(stage, agent), {})
    const stranger = await stage.as(secondTenant)
    const path = `/v1/tasks/${task.taskId}/effects`
    expect((await stranger.call('GET', path)).status).toBe(404)
    expect((await stranger.call('POST', `${path}/pay:resolve`, { done: true })).status).toBe(404)
    expect((await resolve(stage, task.taskId, { done: true }, 'other')).status).toBe(404)
    await expectInvariants(stage.db)
  })
})

/** Everything that an agent can say of an attempt. */
async function sayAll(agent: AgentCaller, { taskId, attempt }: ClaimedTask, incarnation: number) {
  const fence = { incarnation, attempt }
  const path = `/v1/tasks/${taskId}`
  const query = `incarnation=${incarnation}&attempt=${attempt}`
  const pay = { ...fence, idempotent: true }
  const wait = { kind: 'timer', name: 'a', delayMs: 0 }
  return [
    await agent.report({ taskId, attempt, outcome: 'completed', output: 'late' }, incarnation),
    await agent.report({ taskId, attempt, outcome: 'waiting', wait }, incarnation),
    await agent.call('PUT', `${path}/steps/s`, { ...fence, response: 1 }),
    await agent.call('PUT', `${path}/artifacts/f?${query}`, 'text', { 'content-type': 'text/plain' }),
    await agent.call('PUT', `${path}/context/k`, { ...fence, value: 1 }),
    await agent.call('POST', `${path}/usage`, {
      ...fence,
      key: 'k',
      model: 'm',
      inputTokens: 1,
      outputTokens: 1,
      usd: 1,
    }),
    await agent.call('POST', `${path}/output`, { ...fence, text: 'late' }),
    await agent.call('POST', `${path}/progress`, { ...fence, fraction: 1 }),
    await agent.call('PUT', `${path}/effects/pay`, { ...pay, state: 'intent' }),
    await agent.call('PUT', `${path}/effects/pay`, { ...pay, state: 'done' }),
    await agent.call('PUT', `${path}/effects/another`, { ...pay, state: 'intent' }),
  ].map(({ status, body }) => [status, (body as Problem).code])
}

test('a zombie can neither report nor write anything', async ({ stage }) => {
  const { agent, task } = await started(stage)
  await put(agent, task, { idempotent: true })
  const current = await cutOff(stage, agent)
  const before = await stage.events(task.missionId)
  const stale = Array.from({ length: 11 }, () => [409, 'stale_attempt'])
  expect(await sayAll(agent, task, 1)).toEqual(stale)
  // The current attempt, in the hands of a process whose place another one has taken, which did not begin it either.
  await sql`update agent_instances set incarnation = 2 where id = ${agent.instanceId}`.execute(stage.db)
  for (const incarnation of [1, 2]) expect(await sayAll(agent, current, incarnation), `${incarnation}`).toEqual(stale)
  expect(await stage.events(task.missionId)).toEqual(before)
  await sql`update agent_instances set incarnation = 1 where id = ${agent.instanceId}`.execute(stage.db)
  await agent.complete(current)
  await expectInvariants(stage.db)
})
