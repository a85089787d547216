import type { ClaimedTask, Gate } from '@hypercode/contracts'
import { newId } from '@hypercode/contracts'
import { sql } from 'kysely'
import { describe, expect } from 'vitest'
import { crewOf, stillTest as test } from '../harness.ts'
import type { Stage } from '../harness.ts'
import { explain, explainKey, onlyShut, shut } from './explaining.ts'

const one = (task: Record<string, unknown> = {}, spec: Record<string, unknown> = {}): object =>
  crewOf('x', [{ id: 'a', ...task }], spec)

test('a task that nothing holds is claimable, and says so', async ({ stage }) => {
  await stage.agent(['work'])
  const mission = await stage.submit(one())
  const found = await explainKey(stage, mission.id, 'a')
  expect(found).toMatchObject({ verdict: 'claimable', state: 'queued', missionId: mission.id })
  expect(shut(found)).toEqual([])
})

test('dependencies: names those that have not ended', async ({ stage }) => {
  const agent = await stage.agent(['work'])
  const mission = await stage.submit(crewOf('x', [{ id: 'a' }, { id: 'b' }, { id: 'c', dependsOn: ['a', 'b'] }]))
  const [first] = (await agent.claim({ max: 1 })) as [ClaimedTask]
  await agent.complete(first)
  const gate = onlyShut(await explainKey(stage, mission.id, 'c'), 'dependencies')
  expect(gate).toMatchObject({ status: 'wait', holders: [{ kind: 'task', name: 'b' }] })
})

test('children: names the elements that have not ended', async ({ stage }) => {
  const agent = await stage.agent(['work'])
  const mission = await stage.submit(one({ forEach: [1, 2] }))
  const [first] = (await agent.claim({ max: 1 })) as [ClaimedTask]
  await agent.complete(first)
  const gate = onlyShut(await explainKey(stage, mission.id, 'a'), 'children')
  expect(gate).toMatchObject({ status: 'wait', holders: [{ name: 'a[1]' }] })
})

test('schedule: says until when the pause lasts', async ({ stage }) => {
  const agent = await stage.agent(['work'])
  const mission = await stage.submit(one())
  const [task] = (await agent.claim()) as [ClaimedTask]
  await agent.fail(task, { retryAfterMs: 60_000 })
  const found = await explainKey(stage, mission.id, 'a')
  const gate = onlyShut(found, 'schedule')
  expect(gate.status).toBe('wait')
  expect(Date.parse(gate.expectedAt as string) - Date.parse(found.at)).toBeGreaterThan(50_000)
})

test('attempts: the command replays the dead letter, and then the gate is open', async ({ stage }) => {
  const agent = await stage.agent(['work'])
  const mission = await stage.submit(one({ retry: { maxAttempts: 1, onExhausted: 'pause' } }))
  const [task] = (await agent.claim()) as [ClaimedTask]
  await agent.fail(task)
  const { status, command, holders } = onlyShut(await explainKey(stage, mission.id, 'a'), 'attempts')
  expect(status).toBe('fail')
  expect(command?.path).toContain(holders?.[0]?.id)
  const answer = await stage.operator.call(command?.method as string, command?.path as string)
  expect(answer.status).toBe(200)
  expect((await explainKey(stage, mission.id, 'a')).verdict).toBe('claimable')
})

describe('agents', () => {
  test('skills: nobody has them; the gates behind are shut as well', async ({ stage }) => {
    await stage.agent(['other'])
    const mission = await stage.submit(one())
    const found = await explainKey(stage, mission.id, 'a')
    expect(shut(found).map(({ gate, status }) => [gate, status])).toEqual([
      ['skills', 'fail'],
      ['agents', 'fail'],
      ['slots', 'fail'],
    ])
    expect(found.gates.find(({ gate }) => gate === 'skills')?.command).toEqual({ method: 'POST', path: '/v1/agents' })
  })

  test('pool and blueprint: agents with the skill are not there, or not of it', async ({ stage, db, tenant }) => {
    await stage.agent(['work'])
    await db
      .insertInto('blueprints')
      .values({
        id: newId(),
        tenant_id: tenant.id,
        name: 'coder',
        version: 3,
        hash: 'h',
        manifest: '{}',
        created_by: 'somebody',
      })
      .execute()
    const members = [{ id: 'work', skill: 'work', pool: 'gym-7', blueprint: 'coder@3' }]
    const mission = await stage.submit(one({}, { members }))
    expect(shut(await explainKey(stage, mission.id, 'a')).map(({ gate }) => gate)).toEqual([
      'pool',
      'blueprint',
      'agents',
      'slots',
    ])
    await stage.agent(['work@gym-7'])
    const found = await explainKey(stage, mission.id, 'a')
    expect(shut(found).map(({ gate }) => gate)).toEqual(['blueprint', 'agents', 'slots'])
    expect(shut(found)[0]?.command?.path).toBe('/v1/blueprints/coder/versions/3:spawn')
    await stage.agent(['work@gym-7', 'blueprint:coder@3'])
    expect((await explainKey(stage, mission.id, 'a')).verdict).toBe('claimable')
  })

  test('agents: none that fits is ready and beats', async ({ stage, db }) => {
    await stage.agent(['work'])
    const mission = await stage.submit(one())
    await db.updateTable('agent_instances').set({ lifecycle: 'draining' }).execute()
    expect(shut(await explainKey(stage, mission.id, 'a')).map(({ gate, status }) => [gate, status])).toEqual([
      ['agents', 'wait'],
      ['slots', 'fail'],
    ])
    await db
      .updateTable('agent_instances')
      .set({ lifecycle: 'ready', lease_expires_at: sql<Date>`now() - interval '1 second'` })
      .execute()
    expect(shut(await explainKey(stage, mission.id, 'a'))[0]?.gate).toBe('agents')
  })

  test('slots: names what the agents do, and until when at most', async ({ stage }) => {
    const agent = await stage.agent(['work'], { slots: 1 })
    await stage.submit(crewOf('x', [{ id: 'long', timeouts: { attempt: '1h' } }]))
    await agent.claim()
    const mission = await stage.submit(one())
    const found = await explainKey(stage, mission.id, 'a')
    const gate = onlyShut(found, 'slots')
    expect(gate).toMatchObject({ status: 'wait', holders: [{ kind: 'task', name: 'long' }] })
    expect(Date.parse(gate.expectedAt as string)).toBeGreaterThan(Date.parse(found.at) + 3_000_000)
  })
})

describe('what people have shut', () => {
  /** Does what the gate asks for, and sees that it is open then. */
  const openBy = async (stage: Stage, missionId: string, gate: Gate, body?: object): Promise<void> => {
    const answer = await stage.operator.call(gate.command?.method as string, gate.command?.path as string, body)
    expect(answer.status, JSON.stringify(answer.body)).toBeLessThan(300)
    expect((await explainKey(stage, missionId, 'a')).verdict).toBe('claimable')
  }

  test('mission: it is paused', async ({ stage }) => {
    await stage.agent(['work'])
    const mission = await stage.submit(one())
    await stage.operator.call('POST', `/v1/missions/${mission.id}:pause`)
    await openBy(stage, mission.id, onlyShut(await explainKey(stage, mission.id, 'a'), 'mission'))
  })

  test('queue: it is paused', async ({ stage }) => {
    await stage.agent(['work'])
    const mission = await stage.submit(one())
    await stage.operator.call('POST', '/v1/queues/work:pause')
    await openBy(stage, mission.id, onlyShut(await explainKey(stage, mission.id, 'a'), 'queue'))
  })

  test('queueLimit: its places are taken', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    await stage.operator.call('PUT', '/v1/queues/work/limits', { maxExecuting: 1 })
    await stage.submit(crewOf('x', [{ id: 'long' }]))
    await agent.claim({ max: 1 })
    const mission = await stage.submit(one())
    const gate = onlyShut(await explainKey(stage, mission.id, 'a'), 'queueLimit')
    expect(gate.status).toBe('wait')
    await openBy(stage, mission.id, gate, { maxExecuting: 2 })
  })

  test('approval: people have not decided', async ({ stage }) => {
    await stage.agent(['work'])
    const mission = await stage.submit(one({ approval: { title: 'Go?', approvers: ['*'] } }))
    const gate = onlyShut(await explainKey(stage, mission.id, 'a'), 'approval')
    expect(gate).toMatchObject({ detail: 'people have not decided: Go?', holders: [{ kind: 'approval' }] })
    expect(gate.command?.path).toBe(`/v1/approvals/${gate.holders?.[0]?.id}:approve`)
  })
})

test('concurrency: the places of its key are taken, and by whom', async ({ stage }) => {
  const agent = await stage.agent(['work'])
  const bound = { concurrency: { key: 'repo', limit: 1 } }
  await stage.submit(crewOf('x', [{ id: 'long', ...bound }]))
  const [long] = (await agent.claim({ max: 1 })) as [ClaimedTask]
  const mission = await stage.submit(one(bound))
  const gate = onlyShut(await explainKey(stage, mission.id, 'a'), 'concurrency')
  expect(gate).toMatchObject({ status: 'wait', holders: [{ id: long.taskId, name: 'long' }] })
  await agent.complete(long)
  expect((await explainKey(stage, mission.id, 'a')).verdict).toBe('claimable')
})

test('wait: a sleep says until when, a signal what it is called', async ({ stage }) => {
  const agent = await stage.agent(['work'])
  const mission = await stage.submit(crewOf('x', [{ id: 'a' }, { id: 'b' }]))
  const tasks = await agent.claim()
  const wait = { a: { kind: 'timer', name: 'nap', delayMs: 60_000 }, b: { kind: 'signal', name: 'go', signal: 'go' } }
  for (const { taskId, key } of tasks)
    await agent.report({ taskId, attempt: 1, outcome: 'waiting', wait: wait[key as 'a' | 'b'] })
  const sleeping = await explainKey(stage, mission.id, 'a')
  expect(Date.parse(onlyShut(sleeping, 'wait').expectedAt as string)).toBeGreaterThan(Date.parse(sleeping.at) + 50_000)
  expect(onlyShut(await explainKey(stage, mission.id, 'b'), 'wait')).toMatchObject({
    detail: 'waits for the signal go',
    command: { method: 'POST', path: `/v1/missions/${mission.id}:signal` },
  })
})

test('lease: a running task names the agent in whose hands it is', async ({ stage }) => {
  const agent = await stage.agent(['work'])
  const mission = await stage.submit(one())
  await agent.claim()
  const found = await explainKey(stage, mission.id, 'a')
  expect(found).toMatchObject({ verdict: 'running', summary: 'attempt 1 is running' })
  expect(shut(found)).toMatchObject([
    { gate: 'lease', holders: [{ kind: 'instance', id: agent.instanceId }], since: expect.any(String) },
  ])
})

test('mission: one that is being canceled begins nothing', async ({ stage, db }) => {
  await stage.agent(['work'])
  const mission = await stage.submit(one())
  // As if a claim had held the task in its hands when the cancel came by.
  await db.updateTable('missions').set({ cancel_requested_at: sql<Date>`now()` }).execute()
  onlyShut(await explainKey(stage, mission.id, 'a'), 'mission')
})

test('what has ended says how; what belongs to another tenant is unknown', async ({ stage, secondTenant }) => {
  const agent = await stage.agent(['work'])
  const mission = await stage.submit(one())
  const [task] = (await agent.claim()) as [ClaimedTask]
  await agent.complete(task)
  expect(await explain(stage, task.taskId)).toMatchObject({ verdict: 'ended', summary: 'it is completed', gates: [] })
  const stranger = await stage.as(secondTenant)
  expect((await stranger.call('GET', `/v1/tasks/${task.taskId}:explain`)).status).toBe(404)
  expect((await stage.mission(mission.id)).state).toBe('completed')
})
