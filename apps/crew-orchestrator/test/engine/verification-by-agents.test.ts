import type { ClaimedTask } from '@hypercode/contracts'
import { sql } from 'kysely'
import { describe, expect } from 'vitest'
import { explainKey, onlyShut } from '../explain/explaining.ts'
import { crewOf, stillTest as test, sweep } from '../harness.ts'
import { expectInvariants } from '../invariants.ts'
import { next, one, taskOf, typesOf } from './verifying.ts'

describe('by an agent', () => {
  const verify = { kind: 'agent', skill: 'review', maxRounds: 2 }

  test('another task answers whether it passed; what depends on it waits', async ({ stage, replica }) => {
    const [agent, reviewer] = [await stage.agent(['work']), await stage.agent(['review'])]
    const mission = await stage.submit(one(verify))
    const work = await next(agent)
    expect((await agent.complete(work, 'draft')).body.results).toMatchObject([{ state: 'verifying' }])
    expect((await agent.complete(work, 'draft')).body.results).toMatchObject([{ status: 'replayed' }])
    const task = await taskOf(stage, mission.id, 'a')
    expect(task.output).toBeUndefined()
    const gate = onlyShut(await explainKey(stage, mission.id, 'a'), 'verification')
    expect(gate).toMatchObject({
      status: 'wait',
      holders: [{ kind: 'task', name: 'a:verify:1', id: task.verification?.taskId }],
      since: expect.any(String),
      command: { method: 'GET', path: `/v1/tasks/${task.verification?.taskId}:explain` },
    })
    expect((await stage.operator.call('GET', gate.command?.path as string)).status).toBe(200)
    expect(await agent.claim({ waitMs: 0 })).toEqual([])
    await expectInvariants(stage.db)

    // Nothing of it is in the memory of a process: another replica takes the verdict.
    const review = await next(reviewer)
    expect(review).toMatchObject({
      key: 'a:verify:1',
      input: { task: 'a', input: { goal: 'g' }, output: 'draft', round: 1 },
    })
    const elsewhere = await replica.adopt(reviewer)
    await elsewhere.complete(review, { passed: false, reason: 'too short' })
    const again = await next(agent)
    expect(again).toMatchObject({
      key: 'a',
      attempt: 2,
      previousError: { code: 'verification_failed', message: 'too short' },
    })
    await agent.complete(again, 'longer')
    await reviewer.complete(await next(reviewer), { passed: true })
    expect((await next(agent)).input).toBe('longer')
    expect((await taskOf(stage, mission.id, 'a')).verification).toMatchObject({ round: 2, state: 'passed', attempt: 2 })
    const types = await typesOf(stage, mission.id, work.taskId)
    expect(types.filter((type) => type.startsWith('task.verif'))).toEqual([
      'task.verifying',
      'task.verification_failed',
      'task.verifying',
      'task.verified',
    ])
    await expectInvariants(stage.db)
  })

  test('an answer that is none is its failure, tried again; one that fails in the end refuses with its reason', async ({
    stage,
  }) => {
    const [agent, reviewer] = [await stage.agent(['work']), await stage.agent(['review'])]
    const mission = await stage.submit(one({ ...verify, maxRounds: 1 }))
    await agent.complete(await next(agent), 'draft')
    const review = await next(reviewer)
    expect((await reviewer.complete(review, 'looks good')).body.results).toMatchObject([{ state: 'scheduled' }])
    await stage.db
      .updateTable('tasks')
      .set({ state: 'queued', available_at: sql`now()` })
      .where('id', '=', review.taskId)
      .execute()
    await reviewer.fail(await next(reviewer), { code: 'gone', message: 'no model', retryable: false })
    expect(await stage.mission(mission.id)).toMatchObject({
      state: 'failed',
      error: { code: 'verification_failed', message: expect.stringContaining('a:verify:1 ended failed: no model') },
    })
  })

  test('its input may be mapped; what it does not find refuses the output', async ({ stage }) => {
    const [agent, reviewer] = [await stage.agent(['work']), await stage.agent(['review'])]
    const input = { file: '${task.output.file}', of: '${mission.crew}/${task.key}', goal: '${task.input.goal}' }
    await stage.submit(one({ ...verify, input }))
    await agent.complete(await next(agent), {})
    const again = await next(agent)
    expect(again.previousError?.message).toContain('has no "file"')
    await agent.complete(again, { file: 'a.ts' })
    expect((await next(reviewer)).input).toEqual({ file: 'a.ts', of: 'x/a', goal: 'g' })
    await expectInvariants(stage.db)
  })

  test('a person skips the verifier: it passes. A person cancels the task: the verifier is canceled and fenced', async ({
    stage,
  }) => {
    const [agent, reviewer] = [await stage.agent(['work']), await stage.agent(['review'])]
    const skipped = await stage.submit(one(verify))
    await agent.complete(await next(agent), 'draft')
    const { verification } = await taskOf(stage, skipped.id, 'a')
    expect((await stage.operator.call('POST', `/v1/tasks/${verification?.taskId}:skip`, {})).status).toBe(200)
    await agent.complete(await next(agent))
    expect((await stage.mission(skipped.id)).state).toBe('completed')

    const canceled = await stage.submit(one(verify))
    const work = await next(agent)
    await agent.complete(work, 'draft')
    const review = await next(reviewer)
    expect((await stage.operator.call('POST', `/v1/tasks/${work.taskId}:skip`, {})).status).toBe(409)
    expect((await stage.operator.call('POST', `/v1/tasks/${work.taskId}:cancel`, {})).status).toBe(200)
    expect((await reviewer.complete(review, { passed: true })).status).toBe(409)
    expect((await stage.mission(canceled.id)).state).toBe('failed')
    expect((await taskOf(stage, canceled.id, 'a')).verification).toMatchObject({ state: 'withdrawn' })
    await expectInvariants(stage.db)
  })

  test('a canceled mission ends what is verifying; a paused one keeps the verifier', async ({ stage }) => {
    const [agent, reviewer] = [await stage.agent(['work']), await stage.agent(['review'])]
    const mission = await stage.submit(one(verify))
    const work = await next(agent)
    await stage.operator.call('POST', `/v1/missions/${mission.id}:pause`)
    await agent.complete(work, 'draft')
    expect(await reviewer.claim({ waitMs: 0 })).toEqual([])
    await expectInvariants(stage.db)
    await stage.operator.call('POST', `/v1/missions/${mission.id}:cancel`, {})
    expect((await stage.mission(mission.id)).state).toBe('canceled')
    await expectInvariants(stage.db)
  })

  // Two reports of one transaction: what the first one has begun to verify is not seen by the cancel that the second one causes.
  test('what is delivered in the moment in which its mission fails ends with it', async ({ stage }) => {
    const [agent, reviewer] = [await stage.agent(['work']), await stage.agent(['review'])]
    const mission = await stage.submit(crewOf('x', [{ id: 'a', verify }, { id: 'b' }]))
    const [a, b] = (await agent.claim()) as [ClaimedTask, ClaimedTask]
    const results = [
      { taskId: a.taskId, attempt: 1, outcome: 'completed', output: 'draft' },
      { taskId: b.taskId, attempt: 1, outcome: 'failed', error: { code: 'no', message: 'no', retryable: false } },
    ]
    await agent.call('POST', '/v1/completions', { incarnation: agent.incarnation, results })
    expect(await reviewer.claim({ waitMs: 0 })).toEqual([])
    await expectInvariants(stage.db)
    await sweep(stage)
    expect(await stage.mission(mission.id)).toMatchObject({ state: 'failed', error: { code: 'no' } })
    expect((await taskOf(stage, mission.id, 'a')).verification).toMatchObject({ state: 'withdrawn' })
    await expectInvariants(stage.db)
  })

  test('the total time of the task runs while it is verified, and calls the verifier back', async ({ stage, db }) => {
    const [agent, reviewer] = [await stage.agent(['work']), await stage.agent(['review'])]
    const mission = await stage.submit(one(verify, { timeouts: { total: '1h' } }))
    const work = await next(agent)
    await agent.complete(work, 'draft')
    const review = await next(reviewer)
    await db.updateTable('tasks').set({ total_deadline_at: sql`now()` }).where('id', '=', work.taskId).execute()
    await sweep(stage)
    expect(await stage.mission(mission.id)).toMatchObject({ state: 'failed', error: { code: 'total_timeout' } })
    expect((await reviewer.complete(review, { passed: true })).status).toBe(409)
    await expectInvariants(stage.db)
  })
})
