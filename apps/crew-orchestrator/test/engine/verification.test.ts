import type { Approval, ApprovalState, ClaimedTask } from '@hypercode/contracts'
import { sql } from 'kysely'
import { describe, expect } from 'vitest'
import { explainKey, onlyShut } from '../explain/explaining.ts'
import { stillTest as test, sweep } from '../harness.ts'
import type { Answer, Stage } from '../harness.ts'
import { expectInvariants } from '../invariants.ts'
import { next, one, taskOf, typesOf } from './verifying.ts'

describe('by schema', () => {
  const verify = { kind: 'schema', schema: { type: 'object', required: ['files'] }, maxRounds: 2 }

  test('an output that fits completes the task, and was verifying in between', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const mission = await stage.submit(one(verify))
    const task = await next(agent)
    expect((await agent.complete(task, { files: [] })).body.results).toMatchObject([{ state: 'completed' }])
    expect(await typesOf(stage, mission.id, task.taskId)).toEqual([
      'task.queued',
      'task.claimed',
      'task.verifying',
      'task.verified',
      'task.completed',
    ])
    expect((await next(agent)).input).toEqual({ files: [] })
    expect((await taskOf(stage, mission.id, 'a')).verification).toMatchObject({
      kind: 'schema',
      round: 1,
      maxRounds: 2,
      state: 'passed',
    })
    await expectInvariants(stage.db)
  })

  test('one that does not is sent back with the reason, at no cost of attempts, until the rounds are used up', async ({
    stage,
  }) => {
    const agent = await stage.agent(['work'])
    const mission = await stage.submit(one(verify, { retry: { maxAttempts: 1 } }))
    const first = await next(agent)
    expect((await agent.complete(first, {})).body.results).toMatchObject([{ status: 'accepted', state: 'queued' }])
    // The answer may have been lost: the same again is a repeat, and nothing else.
    expect((await agent.complete(first, {})).body.results).toMatchObject([{ status: 'replayed' }])
    expect((await agent.complete(first, { files: [] })).status).toBe(409)
    const second = await next(agent)
    expect(second).toMatchObject({ attempt: 2, maxAttempts: 2, key: 'a' })
    expect(second.previousError).toMatchObject({
      code: 'verification_failed',
      message: expect.stringContaining('required property'),
    })
    await expectInvariants(stage.db)
    expect((await agent.complete(second, {})).body.results).toMatchObject([{ state: 'failed' }])
    expect(await stage.mission(mission.id)).toMatchObject({ state: 'failed', error: { code: 'verification_failed' } })
    expect((await taskOf(stage, mission.id, 'a')).verification).toMatchObject({ round: 2, state: 'failed' })
    await expectInvariants(stage.db)
  })

  test('used up rounds pause the task if its policy says so; a replay has as many again', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const mission = await stage.submit(one({ ...verify, maxRounds: 1 }, { retry: { onExhausted: 'pause' } }))
    expect((await agent.complete(await next(agent), {})).body.results).toMatchObject([{ state: 'paused' }])
    const { items } = (await stage.operator.call<{ items: { id: string }[] }>('GET', '/v1/dead-letters')).body
    expect((await stage.operator.call('POST', `/v1/dead-letters/${items[0]?.id}:replay`)).status).toBe(200)
    await agent.complete(await next(agent), { files: ['f'] })
    await agent.complete(await next(agent))
    expect((await stage.mission(mission.id)).state).toBe('completed')
    await expectInvariants(stage.db)
  })

  test('nonRetryable ends it at the first refusal; elements of a forEach are verified one by one', async ({
    stage,
  }) => {
    const agent = await stage.agent(['work'])
    const retry = { nonRetryable: ['verification_failed'] }
    const mission = await stage.submit(one(verify, { forEach: [1, 2], onChildFailure: 'continue', retry }))
    const [a, b] = (await agent.claim()) as [ClaimedTask, ClaimedTask]
    await agent.complete(a, {})
    await agent.complete(b, { files: [] })
    await agent.complete(await next(agent), 'end')
    expect((await stage.mission(mission.id)).state).toBe('completed')
    expect((await taskOf(stage, mission.id, 'b')).input).toEqual([null, { files: [] }])
    await expectInvariants(stage.db)
  })
})

test('by a command: a task with the skill for it is given the command and the output', async ({ stage }) => {
  const [agent, runner] = [await stage.agent(['work']), await stage.agent(['code.verify'])]
  const mission = await stage.submit(one({ kind: 'command', command: ['node', '-e', '`${x}`'] }))
  await agent.complete(await next(agent), 'patch')
  const run = await next(runner)
  expect(run.input).toEqual({
    command: ['node', '-e', '`${x}`'],
    task: 'a',
    input: { goal: 'g' },
    output: 'patch',
    round: 1,
  })
  await runner.complete(run, { passed: true, reason: 'all 3 tests passed' })
  await agent.complete(await next(agent))
  expect((await stage.mission(mission.id)).state).toBe('completed')
  await expectInvariants(stage.db)
})

describe('by people', () => {
  const verify = { kind: 'human', maxRounds: 2, deadline: '1h' }
  const inbox = async (stage: Stage, state: ApprovalState = 'open'): Promise<Approval> => {
    const answer = await stage.operator.call<{ items: Approval[] }>('GET', `/v1/approvals?state=${state}`)
    return answer.body.items[0] as Approval
  }
  const decide = async (
    stage: Stage,
    { id, hash }: Approval,
    verdict: string,
    more: object = {},
  ): Promise<Answer<Approval>> =>
    await stage.operator.call<Approval>('POST', `/v1/approvals/${id}:${verdict}`, { hash, ...more })

  test('they see the output, and what they reject comes back with their comment', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const mission = await stage.submit(one(verify))
    expect((await agent.complete(await next(agent), 'draft')).body.results).toMatchObject([{ state: 'verifying' }])
    const asked = await inbox(stage)
    expect(asked).toMatchObject({ data: 'draft', verifies: 1, title: 'Accept the output of a?', taskKey: 'a' })
    const gate = onlyShut(await explainKey(stage, mission.id, 'a'), 'verification')
    expect(gate).toMatchObject({
      status: 'fail',
      holders: [{ kind: 'approval', id: asked.id }],
      command: { method: 'POST', path: `/v1/approvals/${asked.id}:approve` },
      expectedAt: asked.deadlineAt,
    })
    await expectInvariants(stage.db)
    await decide(stage, asked, 'reject', { comment: 'say more' })
    const again = await next(agent)
    expect(again.previousError).toMatchObject({ code: 'verification_failed', message: 'say more' })
    await agent.complete(again, 'more')
    expect((await decide(stage, await inbox(stage), 'approve')).body).toMatchObject({ state: 'approved', verifies: 2 })
    expect((await next(agent)).input).toBe('more')
    await expectInvariants(stage.db)
  })

  test('an edit completes the task with what it says, which must fit the schema of the task', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    await stage.submit(one(verify, { output: { type: 'string' } }))
    await agent.complete(await next(agent), 'draft')
    const asked = await inbox(stage)
    expect((await decide(stage, asked, 'edit', { data: 7 })).status).toBe(422)
    expect((await decide(stage, asked, 'edit', { data: 'better' })).body).toMatchObject({ state: 'approved' })
    expect((await next(agent)).input).toBe('better')
    await expectInvariants(stage.db)
  })

  test('nobody by the deadline is a no; canceling the task withdraws the question', async ({ stage, db }) => {
    const agent = await stage.agent(['work'])
    const mission = await stage.submit(one(verify))
    const work = await next(agent)
    await agent.complete(work, 'draft')
    const past = sql<Date>`now() - interval '1 second'`
    await db.updateTable('approvals').set({ deadline_at: past }).execute()
    await db.updateTable('tasks').set({ available_at: past }).where('id', '=', work.taskId).execute()
    await sweep(stage)
    const again = await next(agent)
    expect(again.previousError).toMatchObject({ message: 'nobody approved it by the deadline' })
    await agent.complete(again, 'draft')
    expect((await stage.operator.call('POST', `/v1/tasks/${work.taskId}:cancel`, {})).status).toBe(200)
    expect(await inbox(stage, 'withdrawn')).toMatchObject({ verifies: 2 })
    expect((await stage.mission(mission.id)).state).toBe('failed')
    await expectInvariants(stage.db)
  })

  test('escalation leaves the output as it is', async ({ stage, db }) => {
    const agent = await stage.agent(['work'])
    await stage.submit(one({ ...verify, approvers: ['lead'], escalate: { after: '1m', approvers: ['boss'] } }))
    const work = await next(agent)
    await agent.complete(work, 'draft')
    const past = sql<Date>`now() - interval '1 second'`
    await db.updateTable('approvals').set({ escalate_at: past }).execute()
    await db.updateTable('tasks').set({ available_at: past }).where('id', '=', work.taskId).execute()
    await sweep(stage)
    expect((await inbox(stage)).approvers.toSorted()).toEqual(['boss', 'lead'])
    const row = await db.selectFrom('tasks').select('output').where('id', '=', work.taskId).executeTakeFirst()
    expect(row?.output).toBe('draft')
    await expectInvariants(stage.db)
  })
})
