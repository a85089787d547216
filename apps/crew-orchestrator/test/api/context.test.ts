import type { ClaimedTask, ContextEntry, ContextList, Mission } from '@hypercode/contracts'
import { expect } from 'vitest'
import { crewOf, stillTest as test } from '../harness.ts'
import type { AgentCaller, Caller } from '../harness.ts'
import { expectInvariants } from '../invariants.ts'

const put = async (caller: Caller, mission: Mission, key: string, value: unknown, ifVersion?: number) =>
  await caller.call<ContextEntry>(
    'PUT',
    `/v1/missions/${mission.id}/context/${key}`,
    { value },
    ifVersion === undefined ? {} : { 'if-match': `"${ifVersion}"` },
  )
const putAs = async (agent: AgentCaller, task: ClaimedTask, value: unknown, more: object = {}) =>
  await agent.call<ContextEntry>('PUT', `/v1/tasks/${task.taskId}/context/plan`, {
    incarnation: agent.incarnation,
    attempt: task.attempt,
    value,
    ...more,
  })

test('tasks and people share values with versions, and every write is an event', async ({ stage }) => {
  const agent = await stage.agent(['work'])
  const mission = await stage.submit(crewOf('x', [{ id: 'a' }, { id: 'b' }]))
  const [a] = (await agent.claim({ max: 1 })) as [ClaimedTask]
  expect(await putAs(agent, a, { files: 3 })).toMatchObject({ status: 201, body: { version: 1, taskId: a.taskId } })
  expect(await put(stage.operator, mission, 'plan', { files: 4 }, 1)).toMatchObject({
    status: 200,
    headers: { etag: '"2"' },
    body: { version: 2, updatedBy: stage.operator.subject },
  })
  const read = await agent.call<ContextEntry>('GET', `/v1/missions/${mission.id}/context/plan`)
  expect(read).toMatchObject({ status: 200, headers: { etag: '"2"' }, body: { value: { files: 4 } } })
  expect(read.body.taskId).toBeUndefined()
  const list = await agent.call<ContextList>('GET', `/v1/missions/${mission.id}/context`)
  expect(list.body.items).toMatchObject([{ key: 'plan', version: 2 }])
  const told = (await stage.events(mission.id)).filter(({ type }) => type === 'context.written')
  expect(told.map((event) => [event.task_id, event.body])).toEqual([
    [a.taskId, { key: 'a', attempt: 1, context: 'plan' }],
    [null, { context: 'plan' }],
  ])
  const audit = await stage.db
    .selectFrom('audit')
    .select(['actor', 'ref', 'detail'])
    .where('action', '=', 'context.written')
    .execute()
  expect(audit).toEqual([{ actor: stage.operator.subject, ref: mission.id, detail: { key: 'plan', version: 2 } }])
  await expectInvariants(stage.db)
})

test('of many that replace the same version one succeeds', async ({ stage }) => {
  const mission = await stage.submit(crewOf('x', [{ id: 'a' }]))
  for (const version of [0, 1, 2]) {
    const answers = await Promise.all(
      Array.from({ length: 8 }, async (_, index) => await put(stage.operator, mission, 'count', index, version)),
    )
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([
      version === 0 ? 201 : 200,
      ...Array.from({ length: 7 }, () => 412),
    ])
    expect(answers.find(({ status }) => status < 300)?.body.version).toBe(version + 1)
  }
  expect((await put(stage.operator, mission, 'other', 1, 5)).status).toBe(412)
  await expectInvariants(stage.db)
})

test('a task that repeats a write after a lost answer has written once; a stale one has not', async ({ stage }) => {
  const agent = await stage.agent(['work'])
  await stage.submit(crewOf('x', [{ id: 'a' }]))
  const [task] = (await agent.claim()) as [ClaimedTask]
  expect((await putAs(agent, task, 'one', { ifVersion: 0 })).body.version).toBe(1)
  expect(await putAs(agent, task, 'one', { ifVersion: 0 })).toMatchObject({ status: 201, body: { version: 1 } })
  expect((await putAs(agent, task, 'two', { ifVersion: 0 })).status).toBe(412)
  expect((await putAs(agent, task, 'two', { attempt: 2 })).status).toBe(409)
  await agent.complete(task)
  expect((await putAs(agent, task, 'late')).status).toBe(409)
  await expectInvariants(stage.db)
})

test('what a mission shares is bounded, ends with it, and is unknown to other tenants', async ({
  stage,
  secondTenant,
}) => {
  const agent = await stage.agent(['work'])
  const mission = await stage.submit(crewOf('x', [{ id: 'a' }]))
  expect((await put(stage.operator, mission, 'large', 'x'.repeat(262_144))).status).toBe(422)
  for (let index = 0; index < 32; index += 1)
    expect((await put(stage.operator, mission, `k${index}`, 'x'.repeat(262_000))).status).toBe(201)
  expect((await put(stage.operator, mission, 'more', 'x'.repeat(262_000))).status).toBe(422)
  expect((await put(stage.operator, mission, 'k0', 'small', 1)).status).toBe(200)
  const stranger = await stage.as(secondTenant)
  expect((await put(stranger, mission, 'k0', 'mine')).status).toBe(404)
  expect((await stranger.call('GET', `/v1/missions/${mission.id}/context/k0`)).status).toBe(404)
  const [task] = (await agent.claim()) as [ClaimedTask]
  await agent.complete(task)
  expect((await put(stage.operator, mission, 'k0', 'late')).status).toBe(409)
  await expectInvariants(stage.db)
})
