import type { ClaimedTask, DeadLetter } from '@hypercode/contracts'
import { sql } from 'kysely'
import { expect } from 'vitest'
import { explainKey, shut } from '../explain/explaining.ts'
import { crewOf, stillTest as test, sweep } from '../harness.ts'
import type { Stage } from '../harness.ts'
import { expectInvariants } from '../invariants.ts'

const crew = (tasks: readonly Record<string, unknown>[]): object =>
  crewOf('x', tasks, { policy: { onTaskFailure: 'pause' } })

const stateOf = async (stage: Stage, missionId: string): Promise<Record<string, string>> => ({
  mission: (await stage.mission(missionId)).state,
  ...Object.fromEntries((await stage.tasks(missionId)).map(({ key, state }) => [key, state])),
})
const post = async (stage: Stage, path: string): Promise<number> => (await stage.operator.call('POST', path, {})).status
const letterOf = async (stage: Stage): Promise<DeadLetter> => {
  const { items } = (await stage.operator.call<{ items: DeadLetter[] }>('GET', '/v1/dead-letters')).body
  return items[0] as DeadLetter
}

test('a task that fails pauses its mission; retried and resumed, it goes on as if nothing had been', async ({
  stage,
}) => {
  const agent = await stage.agent(['work'])
  const mission = await stage.submit(
    crew([{ id: 'a', retry: { maxAttempts: 1 } }, { id: 'b' }, { id: 'c', dependsOn: ['a', 'b'] }, { id: 'd' }]),
  )
  const claimed = await agent.claim({ max: 2 })
  const [a, b] = claimed as [ClaimedTask, ClaimedTask]
  expect((await agent.fail(a)).body.results).toMatchObject([{ state: 'paused' }])
  expect(await stateOf(stage, mission.id)).toMatchObject({ mission: 'paused', a: 'paused', b: 'executing' })
  expect((await stage.events(mission.id)).find(({ type }) => type === 'mission.paused')?.body).toMatchObject({
    reason: 'task a failed: it broke',
    taskId: a.taskId,
  })
  // What runs comes to its end, and nothing else is begun.
  await agent.complete(b)
  expect(await agent.claim({ waitMs: 0 })).toEqual([])
  expect(shut(await explainKey(stage, mission.id, 'a')).map(({ gate }) => gate)).toEqual(['mission', 'attempts'])
  await expectInvariants(stage.db)

  expect(await post(stage, `/v1/tasks/${a.taskId}:retry`)).toBe(200)
  expect(await agent.claim({ waitMs: 0 })).toEqual([])
  expect(await post(stage, `/v1/missions/${mission.id}:resume`)).toBe(200)
  for (const task of await agent.claim()) await agent.complete(task)
  for (const task of await agent.claim()) await agent.complete(task)
  expect(await stage.mission(mission.id)).toMatchObject({ state: 'completed' })
  await expectInvariants(stage.db)
})

test('skipped and resumed, the mission goes on without it', async ({ stage }) => {
  const agent = await stage.agent(['work'])
  const mission = await stage.submit(crew([{ id: 'a' }, { id: 'b', dependsOn: ['a'] }]))
  const [a] = (await agent.claim()) as [ClaimedTask]
  await agent.fail(a, { retryable: false })
  expect(await post(stage, `/v1/tasks/${a.taskId}:skip`)).toBe(200)
  expect(await post(stage, `/v1/missions/${mission.id}:resume`)).toBe(200)
  await agent.complete(((await agent.claim()) as [ClaimedTask])[0])
  expect(await stateOf(stage, mission.id)).toEqual({ mission: 'completed', a: 'skipped', b: 'completed' })
  await expectInvariants(stage.db)
})

test('a refusal pauses it too; who discards the dead letter lets the mission fail', async ({ stage }) => {
  const agent = await stage.agent(['work'])
  const mission = await stage.submit(crew([{ id: 'a' }, { id: 'b', dependsOn: ['a'] }]))
  const [{ taskId, attempt }] = (await agent.claim()) as [ClaimedTask]
  await agent.report({
    taskId,
    attempt,
    outcome: 'rejected',
    error: { code: 'no', message: 'never', retryable: false },
  })
  expect(await stateOf(stage, mission.id)).toEqual({ mission: 'paused', a: 'paused', b: 'blocked' })
  expect(await post(stage, `/v1/dead-letters/${(await letterOf(stage)).id}:discard`)).toBe(200)
  expect(await stage.mission(mission.id)).toMatchObject({ state: 'failed', error: { code: 'no' } })
  await expectInvariants(stage.db)
})

test('a task that nobody took in time pauses it before anything began', async ({ stage, db }) => {
  const agent = await stage.agent(['work'])
  const mission = await stage.submit(crew([{ id: 'a', timeouts: { queue: '1h' } }, { id: 'b' }]))
  await db.updateTable('tasks').set({ queue_deadline_at: sql`now()` }).where('key', '=', 'a').execute()
  await sweep(stage)
  expect(await stateOf(stage, mission.id)).toEqual({ mission: 'paused', a: 'paused', b: 'queued' })
  expect(await agent.claim({ waitMs: 0 })).toEqual([])
  expect(await post(stage, `/v1/dead-letters/${(await letterOf(stage)).id}:replay`)).toBe(200)
  expect(await post(stage, `/v1/missions/${mission.id}:resume`)).toBe(200)
  expect(await agent.claim()).toHaveLength(2)
  await expectInvariants(stage.db)
})

test('what its own policy pauses, and what may fail, does not pause the mission', async ({ stage }) => {
  const agent = await stage.agent(['work'])
  const mission = await stage.submit(
    crew([
      { id: 'a', retry: { maxAttempts: 1, onExhausted: 'pause' } },
      { id: 'b', retry: { maxAttempts: 1 }, forEach: [1], onChildFailure: 'continue' },
    ]),
  )
  for (const task of await agent.claim()) await agent.fail(task)
  expect(await stateOf(stage, mission.id)).toMatchObject({ mission: 'running', a: 'paused', 'b[0]': 'failed' })
  await expectInvariants(stage.db)
})

// Two reports of one transaction: what the first one frees is queued in a mission that the second one pauses.
test('what is queued in the same moment is held', async ({ stage }) => {
  const agent = await stage.agent(['work'])
  const mission = await stage.submit(crew([{ id: 'a' }, { id: 'b' }, { id: 'c', dependsOn: ['a'] }]))
  const [a, b] = (await agent.claim()) as [ClaimedTask, ClaimedTask]
  const results = [
    { taskId: a.taskId, attempt: 1, outcome: 'completed', output: null },
    { taskId: b.taskId, attempt: 1, outcome: 'failed', error: { code: 'no', message: 'no', retryable: false } },
  ]
  await agent.call('POST', '/v1/completions', { incarnation: agent.incarnation, results })
  expect(await stateOf(stage, mission.id)).toEqual({ mission: 'paused', a: 'completed', b: 'paused', c: 'queued' })
  await expectInvariants(stage.db)
})
