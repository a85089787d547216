import type { Problem } from '@hypercode/contracts'
import { describe, expect } from 'vitest'
import { stillTest as test } from '../harness.ts'
import type { AgentCaller, Stage } from '../harness.ts'
import {
  asked,
  crew,
  decide,
  expectPausedBy,
  finish,
  letterOf,
  next,
  operate,
  post,
  resume,
  taskOf,
} from './pausing.ts'

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
