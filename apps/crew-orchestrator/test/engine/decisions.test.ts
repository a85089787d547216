import { newId } from '@hypercode/contracts'
import { describe, expect } from 'vitest'
import { stillTest as test } from '../harness.ts'
import { expectInvariants, expectNoDeadlocks } from '../invariants.ts'
import { asking, decide, gated, one, stateOf } from './approving.ts'

describe('a decision', () => {
  test('k of n: different clients, each one voice, however many instances it has', async ({ stage, tenant }) => {
    const { mission, asked } = await gated(stage, { quorum: 2 })
    expect((await decide(stage.operator, asked, 'approve')).body.state).toBe('open')
    const instance = await stage.as(tenant, undefined, `${stage.operator.subject}/second`)
    for (const same of [stage.operator, instance])
      expect(await decide(same, asked, 'approve')).toMatchObject({ status: 409, body: { code: 'conflict' } })
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
