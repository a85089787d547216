import type { Approval, ClaimedTask, DeadLetter, Gate, Mission, Problem, Task } from '@hypercode/contracts'
import { sql } from 'kysely'
import { describe, expect } from 'vitest'
import { explainKey, shut } from '../explain/explaining.ts'
import { crewOf, stillTest as test, sweep } from '../harness.ts'
import type { AgentCaller, Answer, Stage } from '../harness.ts'
import { expectInvariants } from '../invariants.ts'
import { turnSubCrews } from './sub-crew-turn.ts'

const crew = (tasks: readonly Record<string, unknown>[]): object =>
  crewOf('x', tasks, { policy: { onTaskFailure: 'pause' } })

const taskOf = async (stage: Stage, missionId: string, key = 'a'): Promise<Task> => {
  const found = (await stage.tasks(missionId)).find((task) => task.key === key)
  if (found === undefined) throw new Error(`no task ${key}`)
  return found
}
const stateOf = async (stage: Stage, missionId: string): Promise<Record<string, string>> => ({
  mission: (await stage.mission(missionId)).state,
  ...Object.fromEntries((await stage.tasks(missionId)).map(({ key, state }) => [key, state])),
})
const post = async (stage: Stage, path: string, body: object = {}): Promise<Answer<Problem>> =>
  await stage.operator.call<Problem>('POST', path, body)
const operate = async (stage: Stage, missionId: string, operation: 'retry' | 'skip', key = 'a'): Promise<number> =>
  (await post(stage, `/v1/tasks/${(await taskOf(stage, missionId, key)).id}:${operation}`)).status
const resume = async (stage: Stage, missionId: string): Promise<void> =>
  expect((await post(stage, `/v1/missions/${missionId}:resume`)).status).toBe(200)
const letterOf = async (stage: Stage, missionId: string): Promise<DeadLetter> => {
  const path = `/v1/dead-letters?open=true&missionId=${missionId}`
  const { items } = (await stage.operator.call<{ items: DeadLetter[] }>('GET', path)).body
  expect(items).toHaveLength(1)
  return items[0] as DeadLetter
}
const asked = async (stage: Stage, missionId: string): Promise<Approval> => {
  const path = `/v1/approvals?missionId=${missionId}&state=open`
  const { items } = (await stage.operator.call<{ items: Approval[] }>('GET', path)).body
  expect(items).toHaveLength(1)
  return items[0] as Approval
}
const decide = async (stage: Stage, { id, hash }: Approval, verdict: 'approve' | 'reject', comment = 'so') =>
  expect((await post(stage, `/v1/approvals/${id}:${verdict}`, { hash, comment })).status).toBe(200)
const next = async (agent: AgentCaller): Promise<ClaimedTask> => {
  const [task] = await agent.claim({ max: 1, waitMs: 1000 })
  if (task === undefined) throw new Error('no work')
  return task
}
const finish = async (stage: Stage, agent: AgentCaller, missionId: string): Promise<void> => {
  for (let claimed = await agent.claim({ waitMs: 0 }); claimed.length > 0; claimed = await agent.claim({ waitMs: 0 }))
    for (const task of claimed) await agent.complete(task)
  expect((await stage.mission(missionId)).state).toBe('completed')
  await expectInvariants(stage.db)
}

/** The mission is paused, and everybody is told by what: its events, its dead letter, and who asks why a task waits. */
async function expectPausedBy(stage: Stage, missionId: string, code: string, message: string): Promise<void> {
  expect(await stateOf(stage, missionId)).toMatchObject({ mission: 'paused', a: 'paused', b: 'blocked' })
  const task = await taskOf(stage, missionId)
  const told = (await stage.events(missionId)).findLast(({ type }) => type === 'mission.paused')
  expect(told?.body).toMatchObject({ taskId: task.id, code, reason: expect.stringContaining(message) })
  const letter = await letterOf(stage, missionId)
  expect(letter).toMatchObject({ taskId: task.id, error: { code } })
  const [mission, attempts] = shut(await explainKey(stage, missionId, 'a')) as [Gate, Gate]
  expect(mission).toMatchObject({
    gate: 'mission',
    detail: expect.stringContaining(message),
    holders: [{ kind: 'mission' }, { kind: 'task', id: task.id }],
    command: { method: 'POST', path: `/v1/missions/${missionId}:resume` },
  })
  expect(attempts).toMatchObject({
    gate: 'attempts',
    detail: expect.stringContaining(code),
    command: { method: 'POST', path: `/v1/dead-letters/${letter.id}:replay` },
  })
  await expectInvariants(stage.db)
}

describe('an approval', () => {
  const gated = crew([
    { id: 'a', input: 1, approval: { deadline: '1h' }, retry: { maxAttempts: 1 } },
    { id: 'b', dependsOn: ['a'] },
  ])
  const denied = async (stage: Stage): Promise<Mission> => {
    const mission = await stage.submit(gated)
    await decide(stage, await asked(stage, mission.id), 'reject', 'too dear')
    await expectPausedBy(stage, mission.id, 'approval_rejected', 'too dear')
    return mission
  }

  test('that is denied: a retry asks again, and nothing begins without a yes', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const { id } = await denied(stage)
    await resume(stage, id)
    expect(await agent.claim({ waitMs: 0 })).toEqual([])
    expect(await operate(stage, id, 'retry')).toBe(200)
    expect(await stateOf(stage, id)).toMatchObject({ a: 'input_required' })
    expect(await agent.claim({ waitMs: 0 })).toEqual([])
    await expectInvariants(stage.db)
    await decide(stage, await asked(stage, id), 'reject', 'still')
    await expectPausedBy(stage, id, 'approval_rejected', 'still')
    expect(await operate(stage, id, 'retry')).toBe(200)
    await decide(stage, await asked(stage, id), 'approve')
    await resume(stage, id)
    await finish(stage, agent, id)
  })

  test('that is denied: skipped, what waits for it goes on', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const { id } = await denied(stage)
    expect(await operate(stage, id, 'skip')).toBe(200)
    await resume(stage, id)
    await finish(stage, agent, id)
  })

  test('that is denied: who discards the dead letter lets the mission fail', async ({ stage }) => {
    const { id } = await denied(stage)
    expect((await post(stage, `/v1/dead-letters/${(await letterOf(stage, id)).id}:discard`)).status).toBe(200)
    expect(await stage.mission(id)).toMatchObject({ state: 'failed', error: { code: 'approval_rejected' } })
    await expectInvariants(stage.db)
  })

  test('that nobody gave in time: the task does not begin, and a replay has the whole time again', async ({
    stage,
  }) => {
    const agent = await stage.agent(['work'])
    const { id } = await stage.submit(gated)
    const first = await asked(stage, id)
    await sql`update approvals set deadline_at = now()`.execute(stage.db)
    await sql`update tasks set available_at = now() where state = 'input_required'`.execute(stage.db)
    await sweep(stage)
    await expectPausedBy(stage, id, 'approval_expired', 'nobody approved it by the deadline')
    expect((await post(stage, `/v1/dead-letters/${(await letterOf(stage, id)).id}:replay`)).status).toBe(200)
    const again = await asked(stage, id)
    expect(again.id).not.toBe(first.id)
    expect(Date.parse(again.deadlineAt ?? '')).toBeGreaterThan(Date.now() + 3_000_000)
    await resume(stage, id)
    expect(await agent.claim({ waitMs: 0 })).toEqual([])
    await decide(stage, again, 'approve')
    await finish(stage, agent, id)
  })

  test('is about what was shown: another input asks again, the same one does not', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const { id } = await stage.submit(gated)
    await decide(stage, await asked(stage, id), 'approve')
    await agent.fail(await next(agent))
    expect(await operate(stage, id, 'retry')).toBe(200)
    await resume(stage, id)
    await agent.fail(await next(agent))
    const path = `/v1/dead-letters/${(await letterOf(stage, id)).id}`
    expect((await stage.operator.call('PATCH', path, { input: 1000 })).status).toBe(200)
    expect((await post(stage, `${path}:replay`)).status).toBe(200)
    await resume(stage, id)
    expect(await agent.claim({ waitMs: 0 })).toEqual([])
    const again = await asked(stage, id)
    expect(again.data).toBe(1000)
    await decide(stage, again, 'approve')
    const task = await next(agent)
    expect(task.input).toBe(1000)
    await agent.complete(task)
    await finish(stage, agent, id)
  })
})

describe('a reference that leads nowhere', () => {
  const lost = [
    { id: 'first' },
    { id: 'a', dependsOn: ['first'], input: '${tasks.first.output.x}' },
    { id: 'b', dependsOn: ['a'], input: '${tasks.a.state}' },
  ]
  const reach = async (stage: Stage, agent: AgentCaller, output: unknown, tasks: Record<string, unknown>[] = lost) => {
    const { id } = await stage.submit(crew(tasks))
    await agent.complete(await next(agent), output)
    await expectPausedBy(stage, id, 'reference_unresolved', 'tasks.first.output.x')
    return id
  }

  test('retried as it is it leads nowhere again, which is said; with an input of its own it begins', async ({
    stage,
  }) => {
    const agent = await stage.agent(['work'])
    const id = await reach(stage, agent, {})
    const task = await taskOf(stage, id)
    const refused = await post(stage, `/v1/tasks/${task.id}:retry`)
    expect(refused).toMatchObject({ status: 409, body: { detail: expect.stringContaining('tasks.first.output.x') } })
    await expectPausedBy(stage, id, 'reference_unresolved', 'tasks.first.output.x')
    const path = `/v1/dead-letters/${(await letterOf(stage, id)).id}`
    expect((await stage.operator.call('PATCH', path, { input: '${not.ours}' })).status).toBe(200)
    expect((await post(stage, `${path}:replay`)).status).toBe(200)
    await resume(stage, id)
    const again = await next(agent)
    expect(again).toMatchObject({ key: 'a', input: '${not.ours}', attempt: 1 })
    await agent.complete(again)
    await finish(stage, agent, id)
  })

  test('is skipped, and what waits for it goes on', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const id = await reach(stage, agent, {})
    expect(await operate(stage, id, 'skip')).toBe(200)
    await resume(stage, id)
    const after = await next(agent)
    expect(after).toMatchObject({ key: 'b', input: 'skipped' })
    await agent.complete(after)
    await finish(stage, agent, id)
  })

  test('asks for the approval of the input that it is given instead', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const id = await reach(
      stage,
      agent,
      {},
      lost.map((task) => (task.id === 'a' ? { ...task, approval: {} } : task)),
    )
    const path = `/v1/dead-letters/${(await letterOf(stage, id)).id}`
    expect((await stage.operator.call('PATCH', path, { input: 2 })).status).toBe(200)
    expect((await post(stage, `${path}:replay`)).status).toBe(200)
    await resume(stage, id)
    expect(await agent.claim({ waitMs: 0 })).toEqual([])
    const question = await asked(stage, id)
    expect(question.data).toBe(2)
    await decide(stage, question, 'approve')
    await finish(stage, agent, id)
  })

  test('instead of a list: there is no input that could be given to it', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const { id } = await stage.submit(
      crew([
        { id: 'first' },
        { id: 'a', dependsOn: ['first'], forEach: '${tasks.first.output}' },
        { id: 'b', dependsOn: ['a'] },
      ]),
    )
    await agent.complete(await next(agent), 'no list')
    await expectPausedBy(stage, id, 'reference_unresolved', 'forEach needs a list')
    const edit = await stage.operator.call<Problem>('PATCH', `/v1/dead-letters/${(await letterOf(stage, id)).id}`, {
      input: [1],
    })
    expect(edit.status).toBe(409)
    expect(await operate(stage, id, 'retry')).toBe(409)
    expect(await operate(stage, id, 'skip')).toBe(200)
    await resume(stage, id)
    await finish(stage, agent, id)
  })

  test('into the input of the mission pauses it before anything began', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const { id } = await stage.submit(
      crew([{ id: 'z' }, { id: 'a', input: '${mission.input.x}' }, { id: 'b', dependsOn: ['a'] }]),
      {},
    )
    await expectPausedBy(stage, id, 'reference_unresolved', 'mission.input.x')
    expect(await agent.claim({ waitMs: 0 })).toEqual([])
    expect(await operate(stage, id, 'skip')).toBe(200)
    await resume(stage, id)
    expect((await stage.mission(id)).state).toBe('submitted')
    await finish(stage, agent, id)
  })
})

describe('a verification', () => {
  const checked = (verify: object): object =>
    crew([
      { id: 'a', verify: { ...verify, maxRounds: 1 } },
      { id: 'b', dependsOn: ['a'] },
    ])

  test('whose rounds are used up: a retry has as many again', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const { id } = await stage.submit(checked({ kind: 'schema', schema: { type: 'number' } }))
    await agent.complete(await next(agent), 'no number')
    await expectPausedBy(stage, id, 'verification_failed', 'does not fit its schema')
    expect(await operate(stage, id, 'retry')).toBe(200)
    await resume(stage, id)
    await agent.complete(await next(agent), 7)
    await finish(stage, agent, id)
  })

  test('that people deny: skipped, what waits for it goes on', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const { id } = await stage.submit(checked({ kind: 'human' }))
    await agent.complete(await next(agent), 'draft')
    await decide(stage, await asked(stage, id), 'reject', 'not good')
    await expectPausedBy(stage, id, 'verification_failed', 'not good')
    expect(await operate(stage, id, 'skip')).toBe(200)
    await resume(stage, id)
    await finish(stage, agent, id)
  })
})

describe('a crew within', () => {
  const outer = crew([
    { id: 'a', crew: 'inner', member: undefined, input: 5 },
    { id: 'b', dependsOn: ['a'], input: '${tasks.a.output}' },
  ])
  const inner = async (stage: Stage): Promise<Mission[]> =>
    (await stage.operator.call<{ items: Mission[] }>('GET', '/v1/missions?crew=inner')).body.items
  const store = async (stage: Stage): Promise<number> =>
    (await post(stage, '/v1/crews', crewOf('inner', [{ id: 'w', retry: { maxAttempts: 1 } }]))).status

  test('that failed does its work by another mission when it is retried', async ({ stage }) => {
    await store(stage)
    const agent = await stage.agent(['work'])
    const { id } = await stage.submit(outer)
    await turnSubCrews(stage)
    for (const code of ['boom', 'again']) {
      await agent.fail(await next(agent), { code, message: code })
      await Promise.all([turnSubCrews(stage), turnSubCrews(stage)])
      await expectPausedBy(stage, id, code, `crew inner ended failed: task w: ${code}`)
      expect(await turnSubCrews(stage)).toBe(0)
      expect(await operate(stage, id, 'retry')).toBe(200)
      // Nothing of a mission is begun while it is paused.
      expect(await turnSubCrews(stage)).toBe(0)
      await resume(stage, id)
      await Promise.all([turnSubCrews(stage), turnSubCrews(stage)])
      await expectInvariants(stage.db)
    }
    const parentTaskId = (await taskOf(stage, id)).id
    expect(await inner(stage)).toMatchObject(
      ['submitted', 'failed', 'failed'].map((state) => ({ state, input: 5, parentTaskId })),
    )
    await agent.complete(await next(agent), 'done')
    await turnSubCrews(stage)
    expect((await next(agent)).input).toEqual({ w: 'done' })
    await expectInvariants(stage.db)
  })

  test('that is paused itself: the task that waits for it says so, and how it goes on', async ({ stage }) => {
    await post(stage, '/v1/crews', crewOf('inner', [{ id: 'w' }], { policy: { onTaskFailure: 'pause' } }))
    const agent = await stage.agent(['work'])
    const { id } = await stage.submit(outer)
    await turnSubCrews(stage)
    const task = await next(agent)
    await agent.fail(task, { retryable: false })
    expect(await stateOf(stage, id)).toMatchObject({ a: 'waiting', b: 'blocked' })
    const gate = shut(await explainKey(stage, id, 'a')).find((one) => one.gate === 'children')
    expect(gate).toMatchObject({
      status: 'fail',
      detail: expect.stringContaining('and is paused'),
      holders: [{ kind: 'mission', id: task.missionId, name: 'inner' }],
      command: { method: 'POST', path: `/v1/missions/${task.missionId}:resume` },
    })
    expect(await operate(stage, task.missionId, 'retry', 'w')).toBe(200)
    await resume(stage, task.missionId)
    await agent.complete(await next(agent))
    await turnSubCrews(stage)
    await finish(stage, agent, id)
  })

  test('that does not exist: stored and retried, or skipped', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const { id } = await stage.submit(outer)
    await turnSubCrews(stage)
    await expectPausedBy(stage, id, 'crew_unknown', 'failed')
    await store(stage)
    expect(await operate(stage, id, 'retry')).toBe(200)
    await resume(stage, id)
    await turnSubCrews(stage)
    await agent.fail(await next(agent))
    await turnSubCrews(stage)
    expect(await operate(stage, id, 'skip')).toBe(200)
    await resume(stage, id)
    await finish(stage, agent, id)
  })
})

test('an element that fails pauses the mission and not its forEach', async ({ stage }) => {
  const agent = await stage.agent(['work'])
  const { id } = await stage.submit(
    crew([
      { id: 'a', forEach: [1, 2], approval: {} },
      { id: 'b', dependsOn: ['a'] },
    ]),
  )
  const { items } = (await stage.operator.call<{ items: Approval[] }>('GET', '/v1/approvals')).body
  const [one, two] = items.toSorted((x, y) => x.taskKey.localeCompare(y.taskKey)) as [Approval, Approval]
  await decide(stage, one, 'reject')
  await decide(stage, two, 'approve')
  expect(await stateOf(stage, id)).toMatchObject({
    mission: 'paused',
    a: 'waiting',
    'a[0]': 'paused',
    'a[1]': 'queued',
  })
  expect(await operate(stage, id, 'retry', 'a[0]')).toBe(200)
  await decide(stage, await asked(stage, id), 'approve')
  await resume(stage, id)
  await finish(stage, agent, id)
})

test('what its agent cancels although nobody asked for it', async ({ stage }) => {
  const agent = await stage.agent(['work'])
  const { id } = await stage.submit(crew([{ id: 'a' }, { id: 'b', dependsOn: ['a'] }]))
  const { taskId, attempt } = await next(agent)
  await agent.report({ taskId, attempt, outcome: 'canceled' })
  await expectPausedBy(stage, id, 'canceled', 'nobody had asked for that')
  expect(await operate(stage, id, 'retry')).toBe(200)
  await resume(stage, id)
  await finish(stage, agent, id)
})

test('what waits beyond its total time pauses the mission, waits on, and has that time again', async ({ stage }) => {
  const agent = await stage.agent(['work'])
  const { id } = await stage.submit(
    crew([
      { id: 'a', timeouts: { total: '1h' } },
      { id: 'b', dependsOn: ['a'] },
    ]),
  )
  const { taskId, attempt } = await next(agent)
  const wait = { kind: 'signal', name: 'go', signal: 'go' }
  await agent.report({ taskId, attempt, outcome: 'waiting', wait })
  const late = async (): Promise<void> => {
    await sql`update tasks set total_deadline_at = now() where key = 'a'`.execute(stage.db)
    await sweep(stage)
    await sweep(stage)
  }
  await late()
  expect(await stateOf(stage, id)).toEqual({ mission: 'paused', a: 'waiting', b: 'blocked' })
  const [mission, waits] = shut(await explainKey(stage, id, 'a')) as [Gate, Gate]
  expect(mission).toMatchObject({ gate: 'mission', detail: expect.stringContaining('within its total time') })
  expect(waits).toMatchObject({ gate: 'wait' })
  await resume(stage, id)
  await sweep(stage)
  expect((await stage.mission(id)).state).toBe('running')
  await late()
  await resume(stage, id)
  expect((await post(stage, `/v1/missions/${id}:signal`, { name: 'go' })).status).toBe(200)
  await finish(stage, agent, id)
})

test('a person who cancels a task wants no pause', async ({ stage }) => {
  const { id } = await stage.submit(crew([{ id: 'a' }, { id: 'b', dependsOn: ['a'] }]))
  expect((await post(stage, `/v1/tasks/${(await taskOf(stage, id)).id}:cancel`)).status).toBe(200)
  expect((await stage.mission(id)).state).toBe('failed')
  await expectInvariants(stage.db)
})
