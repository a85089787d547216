import type { ClaimedTask, Fault, PlannedTasks } from '@hypercode/contracts'
import { expect } from 'vitest'
import { crewOf, stillTest as test } from '../harness.ts'
import type { AgentCaller, Stage } from '../harness.ts'
import { explainKey, onlyShut } from '../explain/explaining.ts'
import { expectInvariants } from '../invariants.ts'

/** A manager, whose task is `lead`, and members who do what it plans. */
const crew = (more: Record<string, unknown> = {}): object =>
  crewOf(
    'team',
    [
      { id: 'lead', skill: 'manage' },
      { id: 'sum', skill: 'manage', dependsOn: ['lead'], input: '${tasks.lead.output}' },
    ],
    {
      process: 'hierarchical',
      manager: 'manage',
      members: [
        { id: 'manage', skill: 'manage' },
        { id: 'work', skill: 'work' },
      ],
      ...more,
    },
  )
const plan = async (agent: AgentCaller, task: ClaimedTask, tasks: readonly object[], name = 'first') =>
  await agent.call<PlannedTasks & { faults?: Fault[]; detail?: string }>(
    'POST',
    `/v1/missions/${task.missionId}/tasks`,
    {
      taskId: task.taskId,
      incarnation: agent.incarnation,
      attempt: task.attempt,
      name,
      tasks,
    },
  )
async function lead(stage: Stage): Promise<{ manager: AgentCaller; worker: AgentCaller; task: ClaimedTask }> {
  const [manager, worker] = [await stage.agent(['manage']), await stage.agent(['work'])]
  await stage.submit(crew())
  const [task] = (await manager.claim()) as [ClaimedTask]
  return { manager, worker, task }
}
const two = [
  { id: 'read', member: 'work', input: { file: 'a.ts' } },
  { id: 'write', member: 'work', dependsOn: ['read'], input: '${tasks.read.output}' },
]

test('a manager plans tasks, waits for them without a slot, and goes on with how they ended', async ({ stage }) => {
  const { manager, worker, task } = await lead(stage)
  expect(await plan(manager, task, two)).toMatchObject({
    status: 201,
    body: { taskIds: [expect.any(String), expect.any(String)] },
  })
  const gate = onlyShut(await explainKey(stage, task.missionId, 'lead'), 'children')
  expect(gate.holders?.map(({ name }) => name)).toEqual(['read', 'write'])
  await expectInvariants(stage.db)
  const [read] = (await worker.claim()) as [ClaimedTask]
  expect(read).toMatchObject({ key: 'read', input: { file: 'a.ts' } })
  await worker.complete(read, 'text')
  const [write] = (await worker.claim()) as [ClaimedTask]
  expect(write.input).toBe('text')
  await worker.complete(write, 'done')
  const [again] = (await manager.claim()) as [ClaimedTask]
  expect(again).toMatchObject({ key: 'lead', attempt: 2, maxAttempts: 4 })
  expect(again.steps).toEqual([
    {
      name: 'wait:first',
      response: {
        timedOut: false,
        payload: {
          planned: [
            { key: 'read', state: 'completed', output: 'text' },
            { key: 'write', state: 'completed', output: 'done' },
          ],
        },
      },
    },
  ])
  await manager.complete(again, 'led')
  const [sum] = (await manager.claim()) as [ClaimedTask]
  expect(sum.input).toBe('led')
  await manager.complete(sum)
  // What was planned is told to the manager, and is no output of the mission.
  expect(await stage.mission(task.missionId)).toMatchObject({
    state: 'completed',
    output: { sum: null },
    tasks: { total: 4 },
  })
  await expectInvariants(stage.db)
})

test('a manager plans by the version of the crew that its mission began with', async ({ stage }) => {
  const [manager, worker] = [await stage.agent(['manage']), await stage.agent(['work'])]
  await stage.operator.call('POST', '/v1/crews', crew())
  expect((await stage.operator.call('POST', '/v1/missions', { crew: 'team' })).status).toBe(202)
  const [task] = (await manager.claim()) as [ClaimedTask]
  const members = [
    { id: 'manage', skill: 'manage' },
    { id: 'work', skill: 'other' },
  ]
  expect((await stage.operator.call('POST', '/v1/crews', crew({ members }))).body).toMatchObject({ version: 2 })
  expect((await plan(manager, task, [{ id: 'read', member: 'work' }])).status).toBe(201)
  expect(await worker.claim()).toMatchObject([{ key: 'read', skill: 'work' }])
  await expectInvariants(stage.db)
})

test('a planned task that fails fails nothing else: the manager is told, and plans again', async ({ stage }) => {
  const { manager, worker, task } = await lead(stage)
  await plan(manager, task, two)
  await worker.fail(((await worker.claim()) as [ClaimedTask])[0], { retryable: false })
  const [again] = (await manager.claim()) as [ClaimedTask]
  expect(again.steps[0]?.response).toMatchObject({
    payload: {
      planned: [
        { key: 'read', state: 'failed', output: null, error: { code: 'boom' } },
        { key: 'write', state: 'skipped', error: { code: 'dependency_failed' } },
      ],
    },
  })
  expect((await plan(manager, again, [{ id: 'retry', member: 'work', when: 'false' }], 'second')).status).toBe(201)
  const [third] = (await manager.claim()) as [ClaimedTask]
  expect(third.steps.at(-1)).toMatchObject({
    name: 'wait:second',
    response: { payload: { planned: [{ key: 'retry', state: 'skipped' }] } },
  })
  await manager.complete(third)
  await manager.complete(((await manager.claim()) as [ClaimedTask])[0])
  expect((await stage.mission(task.missionId)).state).toBe('completed')
  await expectInvariants(stage.db)
})

test('a repeat after a lost answer has planned once, and a stale manager plans nothing', async ({
  stage,
  secondTenant,
}) => {
  const { manager, worker, task } = await lead(stage)
  const first = await plan(manager, task, two)
  expect(await plan(manager, task, two)).toMatchObject({ status: 200, body: first.body })
  expect((await plan(manager, task, two, 'other')).status).toBe(409)
  expect((await plan(worker, task, two, 'other')).status).toBe(409)
  const stranger = await stage.agent(['manage'], { tenant: secondTenant })
  expect((await plan(stranger, task, two)).status).toBe(404)
  expect(await stage.tasks(task.missionId)).toHaveLength(4)
  await expectInvariants(stage.db)
})

test('plans are held to the rules of manifests, to the manager, and to a depth', async ({ stage }) => {
  const { manager, worker, task } = await lead(stage)
  const cycle = [
    { id: 'a', member: 'work', dependsOn: ['b'] },
    { id: 'b', member: 'work', dependsOn: ['a'] },
  ]
  expect((await plan(manager, task, cycle)).body.faults?.[0]).toMatchObject({ pointer: '/tasks/0/dependsOn' })
  expect((await plan(manager, task, [{ id: 'a', member: 'nobody' }])).status).toBe(422)
  expect((await plan(manager, task, [{ id: 'sum', member: 'work' }])).body.detail).toContain('has a task sum already')
  expect((await stage.tasks(task.missionId)).find(({ key }) => key === 'lead')?.state).toBe('executing')
  let leader = task
  for (const level of [1, 2, 3]) {
    const planned = await plan(manager, leader, [
      { id: `lead${level}`, member: 'manage' },
      { id: `work${level}`, member: 'work' },
    ])
    expect(planned.status).toBe(201)
    leader = ((await manager.claim()) as [ClaimedTask])[0]
    expect(leader.key).toBe(`lead${level}`)
  }
  expect((await plan(manager, leader, two)).body.detail).toContain('plans too deep')
  const [work] = (await worker.claim({ max: 1 })) as [ClaimedTask]
  expect((await plan(worker, work, two)).body.detail).toContain('none of the manager')
  await stage.operator.call('POST', `/v1/missions/${task.missionId}:cancel`)
  await manager.report({ taskId: leader.taskId, attempt: 1, outcome: 'canceled' })
  await worker.report({ taskId: work.taskId, attempt: 1, outcome: 'canceled' })
  expect((await stage.mission(task.missionId)).state).toBe('canceled')
  await expectInvariants(stage.db)
})

test('a hierarchical crew names its manager, and no other does', async ({ stage }) => {
  const answers = [crew({ manager: undefined }), crew({ manager: 'nobody' }), crew({ process: 'dag' })].map(
    async (manifest) => await stage.operator.call<{ faults: Fault[] }>('POST', '/v1/missions', { manifest }),
  )
  expect((await Promise.all(answers)).map(({ body }) => body.faults.map(({ pointer }) => pointer))).toEqual([
    ['/manifest/spec'],
    ['/manifest/spec/manager'],
    ['/manifest/spec/manager'],
  ])
})
