import { newId } from '@hypercode/contracts'
import type { Approval, ClaimedTask, Mission, Problem } from '@hypercode/contracts'
import { sql } from 'kysely'
import { describe, expect } from 'vitest'
import { crewOf, stillTest as test, sweep } from '../harness.ts'
import type { AgentCaller, Caller, Stage } from '../harness.ts'
import { expectInvariants, expectNoDeadlocks } from '../invariants.ts'

const inbox = async (stage: Stage, query = ''): Promise<Approval[]> =>
  (await stage.operator.call<{ items: Approval[] }>('GET', `/v1/approvals${query}`)).body.items
const decide = async (who: Caller, approval: Approval, verdict: 'approve' | 'reject' | 'edit', more: object = {}) =>
  await who.call<Approval & Problem>('POST', `/v1/approvals/${approval.id}:${verdict}`, {
    hash: approval.hash,
    ...more,
  })
const one = async (agent: AgentCaller): Promise<ClaimedTask> => {
  const [task] = await agent.claim({ max: 1, waitMs: 1000 })
  if (task === undefined) throw new Error('there is nothing to claim')
  return task
}
const only = (approvals: Approval[]): Approval => {
  expect(approvals).toHaveLength(1)
  return approvals[0] as Approval
}
/** Lets the clock of the database pass the instants of what waits for people. */
const pass = async (stage: Stage, seconds: number) => {
  await sql`update approvals set deadline_at = deadline_at - ${seconds} * interval '1 second', escalate_at = escalate_at - ${seconds} * interval '1 second'`.execute(
    stage.db,
  )
  await sql`update tasks set available_at = available_at - ${seconds} * interval '1 second' where state = 'input_required'`.execute(
    stage.db,
  )
}
const stateOf = async (stage: Stage, mission: Mission, key = 'a') =>
  (await stage.tasks(mission.id)).find((task) => task.key === key)

/** A mission whose only task asks before it begins. */
async function gated(stage: Stage, approval: object = {}): Promise<{ mission: Mission; asked: Approval }> {
  const mission = await stage.submit(crewOf('x', [{ id: 'a', input: { amount: 5 }, approval }]))
  return { mission, asked: only(await inbox(stage, `?missionId=${mission.id}`)) }
}

/** A mission whose only task asks in the middle of its work. */
async function asking(stage: Stage, terms: object = {}) {
  const agent = await stage.agent(['work'], { slots: 1 })
  const mission = await stage.submit(crewOf('x', [{ id: 'a' }]))
  const { taskId, attempt } = await one(agent)
  const wait = { kind: 'approval', name: 'pay', title: 'Pay?', data: { amount: 5 }, ...terms }
  const answer = await agent.report({ taskId, attempt, outcome: 'waiting', wait })
  return { agent, mission, answer, asked: (await inbox(stage, `?missionId=${mission.id}`))[0] as Approval }
}

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

describe('an approval that a handler asks for', () => {
  test('frees the slot, and its result is what the handler finds when it runs again', async ({ stage, replica }) => {
    const { agent, mission, asked } = await asking(stage)
    expect(await stateOf(stage, mission)).toMatchObject({ state: 'input_required', attempt: 1, maxAttempts: 4 })
    expect(asked).toMatchObject({ wait: 'pay', title: 'Pay?', data: { amount: 5 } })
    // Another process decides: nothing of it is in memory.
    expect((await decide(replica.operator, asked, 'approve', { comment: 'ok' })).body.state).toBe('approved')
    const again = await one(agent)
    expect(again).toMatchObject({ attempt: 2 })
    expect(again.steps).toEqual([
      {
        name: 'wait:pay',
        response: {
          approvalId: asked.id,
          approved: true,
          data: { amount: 5 },
          by: [replica.operator.subject],
          comment: 'ok',
          timedOut: false,
        },
      },
    ])
    await agent.complete(again)
    await expectInvariants(stage.db)
  })

  test('rejected, or not decided in time: the handler is told and goes on', async ({ stage }) => {
    const { agent, asked } = await asking(stage)
    await decide(stage.operator, asked, 'reject', { comment: 'no' })
    const denied = await one(agent)
    expect(denied.steps[0]?.response).toMatchObject({ approved: false, comment: 'no', timedOut: false })
    await agent.complete(denied)
    const { agent: second } = await asking(stage, { deadlineMs: 3_600_000 })
    await pass(stage, 3601)
    await sweep(stage)
    expect((await one(second)).steps[0]?.response).toMatchObject({ approved: false, by: [], timedOut: true })
    await expectInvariants(stage.db)
  })

  test('with terms that nobody can fulfil fails the task', async ({ stage }) => {
    const { mission, answer } = await asking(stage, { approvers: ['x'], quorum: 2 })
    expect(answer.body.results[0]?.state).toBe('failed')
    expect(await stateOf(stage, mission)).toMatchObject({ error: { code: 'approval_invalid' } })
    await expectInvariants(stage.db)
  })
})

describe('a decision', () => {
  test('k of n: different clients, each one voice, however many instances it has', async ({ stage, tenant }) => {
    const { mission, asked } = await gated(stage, { quorum: 2 })
    expect((await decide(stage.operator, asked, 'approve')).body.state).toBe('open')
    expect(await decide(stage.operator, asked, 'approve')).toMatchObject({ status: 409, body: { code: 'conflict' } })
    expect((await stateOf(stage, mission))?.state).toBe('input_required')
    expect((await decide(await stage.as(tenant), asked, 'approve')).body).toMatchObject({ state: 'approved' })
    await expectInvariants(stage.db)
  })

  test('of many at once: as many count as are needed, the others are told that it is decided', async ({
    stage,
    replica,
    tenant,
  }) => {
    const { asked, mission } = await gated(stage, { quorum: 3 })
    const callers = await Promise.all(
      Array.from({ length: 12 }, async (_, index) => await (index % 2 === 0 ? stage : replica).as(tenant)),
    )
    const answers = await Promise.all(callers.map(async (caller) => await decide(caller, asked, 'approve')))
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(3)
    expect(answers.filter(({ status }) => status === 409)).toHaveLength(9)
    expect((await stage.events(mission.id)).filter((event) => event.type === 'task.queued')).toHaveLength(1)
    await expectInvariants(stage.db)
    await expectNoDeadlocks(stage.db)
  })

  test('approve and reject at once: one of them decides', async ({ stage, replica, tenant }) => {
    for (let turn = 0; turn < 5; turn += 1) {
      const { asked } = await gated(stage)
      const [yes, no] = await Promise.all([
        decide(await stage.as(tenant), asked, 'approve'),
        decide(await replica.as(tenant), asked, 'reject'),
      ])
      expect(new Set([yes.status, no.status])).toEqual(new Set([200, 409]))
    }
    await expectInvariants(stage.db)
  })

  test('is about what was shown: an edit changes that, approves it, and voids what was approved before', async ({
    stage,
    tenant,
  }) => {
    const agent = await stage.agent(['work'])
    const { asked } = await gated(stage, { quorum: 2 })
    const [first, second] = [await stage.as(tenant), await stage.as(tenant)]
    await decide(first, asked, 'approve')
    const edited = await decide(second, asked, 'edit', { data: { amount: 4 } })
    expect(edited.body).toMatchObject({ state: 'open', round: 2, data: { amount: 4 } })
    expect(edited.body.hash).not.toBe(asked.hash)
    expect(await decide(first, asked, 'approve')).toMatchObject({ status: 412, body: { code: 'version_mismatch' } })
    expect((await decide(second, edited.body, 'approve')).status).toBe(409)
    expect((await decide(first, edited.body, 'approve')).body.state).toBe('approved')
    expect((await one(agent)).input).toEqual({ amount: 4 })
    await expectInvariants(stage.db)
  })

  test('edit-then-approve of a handler gives it what was approved', async ({ stage }) => {
    const { agent, asked } = await asking(stage)
    expect((await decide(stage.operator, asked, 'edit', { data: { amount: 1 } })).body.state).toBe('approved')
    expect((await one(agent)).steps[0]?.response).toMatchObject({ approved: true, data: { amount: 1 } })
    await expectInvariants(stage.db)
  })

  test('is for the approvers: clients by id or by name', async ({ stage, tenant }) => {
    const lead = await stage.as(tenant)
    await stage.db
      .insertInto('clients')
      .values({
        id: lead.subject,
        tenant_id: tenant.id,
        name: 'lead',
        scopes: [],
        secret_hash: Buffer.alloc(0),
        revoked_at: null,
      })
      .execute()
    const { asked } = await gated(stage, { approvers: ['lead'] })
    expect((await decide(stage.operator, asked, 'approve')).status).toBe(403)
    expect((await decide(lead, asked, 'approve')).body.state).toBe('approved')
    await expectInvariants(stage.db)
  })

  test('is for those who have the scope, in the own tenant', async ({ stage, tenant, secondTenant }) => {
    const { asked } = await gated(stage)
    expect((await decide(await stage.as(tenant, ['mission:write', 'mission:read']), asked, 'approve')).status).toBe(403)
    const stranger = await stage.as(secondTenant)
    for (const verdict of ['approve', 'reject'] as const)
      expect((await decide(stranger, asked, verdict)).status).toBe(404)
    expect((await stranger.call('GET', `/v1/approvals/${asked.id}`)).status).toBe(404)
    expect((await stranger.call('GET', '/v1/approvals')).body).toEqual({ items: [] })
    expect((await stage.operator.call('GET', `/v1/approvals/${newId()}`)).status).toBe(404)
    expect((await stage.operator.call('GET', `/v1/approvals/${asked.id}`)).body).toEqual(asked)
    await expectInvariants(stage.db)
  })
})

test('the inbox shows what is open first, page by page', async ({ stage }) => {
  const asked: Approval[] = []
  for (let index = 0; index < 5; index += 1) asked.push((await gated(stage)).asked)
  for (const index of [1, 3]) await decide(stage.operator, asked[index] as Approval, 'approve')
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
  expect(seen).toEqual([4, 2, 0, 3, 1].map((index) => asked[index]?.id))
  expect((await stage.operator.call('GET', '/v1/approvals?cursor=x')).status).toBe(400)
})
