import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { numberEvents } from '@hypercode/events'
import { planRegistrations } from '../src/domain/registration.ts'
import type { Known, KnownAgent, KnownInstance, RegistrationRequest } from '../src/domain/registration.ts'

const request = (subject: string, name: string, more: Partial<RegistrationRequest> = {}): RegistrationRequest => ({
  tenantId: 't1',
  subject,
  card: { name, version: '1', skills: [{ id: 'a' }] },
  correlationId: undefined,
  ...more,
})

const nothing: Known = { tenants: new Set(['t1', 't2']), agents: [], instances: [], makes: [] }

function ids(): () => string {
  let n = 0
  return () => `id${(n += 1)}`
}

/** What the rows are after a plan was written. */
function after(known: Known, plan: ReturnType<typeof planRegistrations>): Known {
  const agents = new Map(known.agents.map((agent) => [agent.id, agent]))
  for (const agent of plan.agents) agents.set(agent.id, agent)
  const instances = new Map(known.instances.map((one) => [one.id, one]))
  for (const one of plan.instances) instances.set(one.id, { ...one, health: 'unknown' })
  return {
    tenants: known.tenants,
    agents: [...agents.values()],
    instances: [...instances.values()],
    makes: known.makes,
  }
}

describe('a batch of registrations', () => {
  test('one subject, three times: one agent, one instance, incarnations 1 to 3', () => {
    const plan = planRegistrations([request('s', 'x'), request('s', 'x'), request('s', 'x')], nothing, ids())
    expect(plan.outcomes).toMatchObject([
      { first: true, incarnation: 1 },
      { first: false, incarnation: 2 },
      { first: false, incarnation: 3 },
    ])
    expect(plan.agents.length).toBe(1)
    expect(plan.instances).toMatchObject([{ incarnation: 3 }])
    expect(plan.events.length).toBe(3)
  })

  test('two subjects under one name are two instances of one agent', () => {
    const plan = planRegistrations([request('a', 'x'), request('b', 'x')], nothing, ids())
    expect(plan.agents.length).toBe(1)
    expect(new Set(plan.instances.map((one) => one.agentId)).size).toBe(1)
    expect(new Set(plan.instances.map((one) => one.id)).size).toBe(2)
  })

  test('a subject that took a name in this very batch cannot take another one', () => {
    const plan = planRegistrations([request('a', 'x'), request('a', 'y')], nothing, ids())
    expect(plan.outcomes[1]).toEqual({ kind: 'bound', name: 'x' })
    expect(plan.agents.map((agent) => agent.name)).toEqual(['x'])
  })

  test('quarantine outlives a registration, and an unknown tenant gets nothing', () => {
    const first = planRegistrations([request('a', 'x')], nothing, ids())
    const known = after(nothing, first)
    const locked = {
      ...known,
      instances: known.instances.map((one) => ({ ...one, lifecycle: 'quarantined' as const })),
    }
    expect(planRegistrations([request('a', 'x')], locked, ids()).outcomes).toEqual([{ kind: 'quarantined' }])
    const foreign = planRegistrations([request('a', 'x', { tenantId: 'nobody' })], nothing, ids())
    expect(foreign).toMatchObject({ outcomes: [{ kind: 'tenant_unknown' }], agents: [], instances: [], events: [] })
  })

  test('an unchanged card changes no agent row, whatever the order of its labels', () => {
    const card = { name: 'x', version: '1', skills: [{ id: 'a', name: 'A' }], labels: { b: '1', a: '2' } }
    const known = after(nothing, planRegistrations([request('a', 'x', { card })], nothing, ids()))
    const same = { name: 'x', version: '1', skills: [{ name: 'A', id: 'a' }], labels: { a: '2', b: '1' } }
    expect(planRegistrations([request('a', 'x', { card: same })], known, ids()).agents).toEqual([])
    const other = { ...same, version: '2' }
    expect(planRegistrations([request('a', 'x', { card: other })], known, ids()).agents).toMatchObject([
      { version: '2' },
    ])
  })

  test('description and labels that a card does not name stay; a deleted agent comes back under its id', () => {
    const agent: KnownAgent = {
      id: 'a1',
      tenantId: 't1',
      name: 'x',
      version: '1',
      description: 'said by a person',
      skills: [{ id: 'a' }],
      labels: { team: 'core' },
      deleted: true,
    }
    const plan = planRegistrations([request('s', 'x')], { ...nothing, agents: [agent] }, ids())
    expect(plan.agents).toEqual([{ ...agent, deleted: false }])
  })

  // G1, G2: batches of any shape, one after the other.
  test('a subject is one instance of one agent for life, and its incarnations are dense', () => {
    const one = fc.record({
      tenantId: fc.constantFrom('t1', 't2'),
      subject: fc.constantFrom('s1', 's2', 's3'),
      name: fc.constantFrom('x', 'y'),
    })
    fc.assert(
      fc.property(fc.array(fc.array(one, { minLength: 1, maxLength: 8 }), { maxLength: 6 }), (batches) => {
        const make = ids()
        let known = nothing
        const bound = new Map<string, { agentId: string; instanceId: string; incarnation: number; name: string }>()
        for (const batch of batches) {
          const plan = planRegistrations(
            batch.map(({ tenantId, subject, name }) => request(subject, name, { tenantId })),
            known,
            make,
          )
          plan.outcomes.forEach((outcome, index) => {
            const { tenantId, subject, name } = batch[index] as (typeof batch)[number]
            const key = `${tenantId} ${subject}`
            const before = bound.get(key)
            if (outcome.kind === 'bound') {
              expect(before?.name).not.toBe(name)
              return
            }
            if (outcome.kind !== 'registered') throw new Error(outcome.kind)
            expect(outcome.first).toBe(before === undefined)
            expect(outcome.incarnation).toBe((before?.incarnation ?? 0) + 1)
            if (before !== undefined)
              expect(outcome).toMatchObject({ agentId: before.agentId, instanceId: before.instanceId })
            const { agentId, instanceId, incarnation } = outcome
            bound.set(key, { agentId, instanceId, incarnation, name })
          })
          known = after(known, plan)
        }
        const names = known.agents.map((agent) => `${agent.tenantId} ${agent.name}`)
        expect(new Set(names).size).toBe(names.length)
        const subjects = known.instances.map((each: KnownInstance) => `${each.tenantId} ${each.subject}`)
        expect(new Set(subjects).size).toBe(subjects.length)
      }),
    )
  })
})

describe('numbers of events', () => {
  const draft = (tenantId: string) => ({ tenantId, type: 'agent.updated' as const, agentId: 'a', body: {} })

  test('are dense per tenant, behind the head', () => {
    const heads = new Map([
      ['t1', 7],
      ['t2', 0],
    ])
    const { events, heads: moved } = numberEvents([draft('t1'), draft('t2'), draft('t1')], heads)
    expect(events.map((event) => [event.tenantId, event.seq])).toEqual([
      ['t1', 8],
      ['t2', 1],
      ['t1', 9],
    ])
    expect([...moved]).toEqual([
      ['t1', 9],
      ['t2', 1],
    ])
  })

  test('are given to no tenant whose head is not held', () => {
    expect(() => numberEvents([draft('t3')], new Map())).toThrow(/t3/)
  })
})
