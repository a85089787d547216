import type { Approval, Problem } from '@hypercode/contracts'
import { describe, expect } from 'vitest'
import { crewOf, stillTest as test, sweep } from '../harness.ts'
import { expectInvariants } from '../invariants.ts'
import { decide, gated, inbox, one, only, pass, stateOf } from './approving.ts'

describe('an approval that the manifest asks for', () => {
  test('comes before the task, with its input; approved, the task begins', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const { mission, asked } = await gated(stage, { title: 'Send it?' })
    expect(asked).toMatchObject({
      title: 'Send it?',
      data: { amount: 5 },
      state: 'open',
      quorum: 1,
      round: 1,
      taskKey: 'a',
    })
    expect(await stateOf(stage, mission)).toMatchObject({
      state: 'input_required',
      reason: expect.stringContaining(asked.id),
    })
    expect(await agent.claim({ waitMs: 0 })).toEqual([])
    const answer = await decide(stage.operator, asked, 'approve', { comment: 'fine' })
    expect(answer).toMatchObject({
      status: 200,
      body: {
        state: 'approved',
        decidedAt: expect.any(String),
        decisions: [{ subject: stage.operator.subject, verdict: 'approve', round: 1, comment: 'fine' }],
      },
    })
    const task = await one(agent)
    expect(task.input).toEqual({ amount: 5 })
    await agent.complete(task)
    expect((await stage.events(mission.id)).map((event) => event.type)).toEqual([
      'mission.submitted',
      'task.input_required',
      'approval.requested',
      'approval.decided',
      'task.queued',
      'mission.started',
      'task.claimed',
      'task.completed',
      'mission.completed',
    ])
    const audit = await stage.db.selectFrom('audit').selectAll().where('action', '=', 'approval.decided').execute()
    expect(audit).toMatchObject([
      { actor: stage.operator.subject, ref: asked.id, detail: { verdict: 'approve', comment: 'fine' } },
    ])
    await expectInvariants(stage.db)
  })

  test('comes when the dependencies are done, also for an input that was known before; each element asks for itself', async ({
    stage,
  }) => {
    const agent = await stage.agent(['work'])
    const mission = await stage.submit(
      crewOf('x', [
        { id: 'a' },
        { id: 'b', dependsOn: ['a'], input: 7, approval: {} },
        { id: 'c', dependsOn: ['a'], input: '${item}', forEach: '${tasks.a.output}', approval: {} },
      ]),
    )
    expect(await inbox(stage)).toEqual([])
    await agent.complete(await one(agent), [1, 2])
    const asked = await inbox(stage)
    expect(new Set(asked.map((one) => one.id)).size).toBe(3)
    expect(
      asked.map((one) => [one.taskKey, one.data]).toSorted(([x], [y]) => (String(x) < String(y) ? -1 : 1)),
    ).toEqual([
      ['b', 7],
      ['c[0]', 1],
      ['c[1]', 2],
    ])
    for (const approval of asked) await decide(stage.operator, approval, 'approve')
    const tasks = await agent.claim()
    expect(new Set(tasks.map((task) => task.input))).toEqual(new Set([1, 2, 7]))
    for (const task of tasks) await agent.complete(task, null)
    expect((await stage.mission(mission.id)).state).toBe('completed')
    await expectInvariants(stage.db)
  })

  test('rejected: the task ends, with the comment as its reason', async ({ stage }) => {
    const { mission, asked } = await gated(stage)
    expect((await decide(stage.operator, asked, 'reject', { comment: 'too much' })).body.state).toBe('rejected')
    expect(await stateOf(stage, mission)).toMatchObject({
      state: 'rejected',
      error: { code: 'approval_rejected', message: 'too much' },
    })
    expect((await stage.mission(mission.id)).state).toBe('failed')
    await expectInvariants(stage.db)
  })

  test('is denied by its deadline, or approved where it says so', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const { mission, asked } = await gated(stage, { deadline: '1h' })
    const { asked: other } = await gated(stage, { deadline: '1h', onTimeout: 'approve' })
    await pass(stage, 3500)
    await sweep(stage)
    expect((await inbox(stage, '?state=open')).length).toBe(2)
    await pass(stage, 101)
    expect(await decide(stage.operator, asked, 'approve')).toMatchObject({ status: 409, body: { code: 'conflict' } })
    await sweep(stage)
    expect(await stateOf(stage, mission)).toMatchObject({ state: 'rejected', error: { code: 'approval_expired' } })
    expect((await inbox(stage, '?state=expired')).map((one) => one.id)).toEqual([other.id, asked.id])
    await agent.complete(await one(agent))
    expect((await stage.mission(other.missionId)).state).toBe('completed')
    await expectInvariants(stage.db)
  })

  test('is escalated to more approvers, and told', async ({ stage, tenant }) => {
    const lead = await stage.as(tenant)
    const boss = await stage.as(tenant)
    const { asked, mission } = await gated(stage, {
      approvers: [lead.subject],
      deadline: '2h',
      escalate: { after: '1h', approvers: [boss.subject] },
    })
    expect(await decide(boss, asked, 'approve')).toMatchObject({ status: 403, body: { code: 'not_an_approver' } })
    await pass(stage, 3601)
    await sweep(stage)
    await sweep(stage)
    expect(only(await inbox(stage))).toMatchObject({
      state: 'open',
      escalatedAt: expect.any(String),
      approvers: expect.arrayContaining([boss.subject, lead.subject]),
    })
    expect((await stage.events(mission.id)).filter((event) => event.type === 'approval.escalated')).toHaveLength(1)
    expect((await decide(boss, asked, 'approve')).body.state).toBe('approved')
    const { mission: second } = await gated(stage, { deadline: '2h', escalate: { after: '1h', approvers: [] } })
    await pass(stage, 3601)
    await sweep(stage)
    await pass(stage, 3601)
    await sweep(stage)
    expect((await stateOf(stage, second))?.state).toBe('rejected')
    await expectInvariants(stage.db)
  })

  test('is withdrawn when its mission is canceled, and cannot be decided then', async ({ stage }) => {
    const { mission, asked } = await gated(stage)
    await stage.operator.call('POST', `/v1/missions/${mission.id}:cancel`)
    expect((await stage.mission(mission.id)).state).toBe('canceled')
    expect(only(await inbox(stage)).state).toBe('withdrawn')
    expect(await decide(stage.operator, asked, 'approve')).toMatchObject({ status: 409, body: { code: 'conflict' } })
    await expectInvariants(stage.db)
  })

  test('is withdrawn from the beginning when what fails beside it ends its mission in the same moment', async ({
    stage,
  }) => {
    const agent = await stage.agent(['work'])
    const mission = await stage.submit(
      crewOf('x', [
        { id: 'first' },
        { id: 'asks', dependsOn: ['first'], approval: {} },
        { id: 'fails', dependsOn: ['first'], input: { of: '${tasks.first.output.missing}' } },
      ]),
    )
    await agent.complete(await one(agent), { said: 1 })
    expect((await stage.mission(mission.id)).state).toBe('failed')
    expect((await stateOf(stage, mission, 'asks'))?.state).toBe('canceled')
    expect(only(await inbox(stage))).toMatchObject({ state: 'withdrawn', decidedAt: expect.any(String) })
    await expectInvariants(stage.db)
  })

  test('that nobody could fulfil is a fault of the manifest', async ({ stage }) => {
    for (const [approval, message] of [
      [{ approvers: ['lead'], quorum: 2 }, 'only 1 approvers'],
      [{ deadline: '1h', escalate: { after: '1h', approvers: [] } }, 'after the deadline'],
    ] as const) {
      const manifest = crewOf('x', [{ id: 'a', approval }])
      const answer = await stage.operator.call<Problem>('POST', '/v1/missions', { manifest })
      expect(answer.status).toBe(422)
      expect(answer.body.faults?.[0]).toMatchObject({ pointer: '/manifest/spec/tasks/0/approval' })
      expect(answer.body.faults?.[0]?.message).toContain(message)
    }
  })
})

test('the inbox shows what is open first, page by page', async ({ stage }) => {
  const asked: Approval[] = []
  for (let index = 0; index < 5; index += 1) asked.push((await gated(stage)).asked)
  for (const index of [3, 4]) await decide(stage.operator, asked[index] as Approval, 'approve')
  const seen: string[] = []
  let cursor = ''
  for (let page = 0; page < 3; page += 1) {
    const { body } = await stage.operator.call<{ items: Approval[]; nextCursor?: string }>(
      'GET',
      `/v1/approvals?limit=2${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`,
    )
    seen.push(...body.items.map((one) => one.id))
    cursor = body.nextCursor ?? ''
  }
  expect(seen).toEqual([2, 1, 0, 4, 3].map((index) => asked[index]?.id))
  expect((await stage.operator.call('GET', '/v1/approvals?cursor=x')).status).toBe(400)
})
