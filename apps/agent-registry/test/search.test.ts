import type { Agent } from '@hypercode/contracts'
import type { Db } from '@hypercode/db'
import { openDatabase } from '@hypercode/db'
import { CompiledQuery, sql } from 'kysely'
import { describe, expect } from 'vitest'
import { listAgents } from '../src/store/agents.ts'
import type { AgentFilter } from '../src/store/agents.ts'
import { card, giveTask, test } from './registry.ts'
import type { Caller } from './registry.ts'

interface Page {
  items: Agent[]
  nextCursor?: string
}

const namesOf = async (caller: Caller, query = ''): Promise<string[]> => {
  const answer = await caller.call<Page>('GET', `/v1/agents${query}`)
  expect(answer.status).toBe(200)
  return answer.body.items.map((agent) => agent.name)
}

/** Registers one agent after the other, each with a client of its own. */
async function registerAll(callerOf: () => Caller, cards: readonly Record<string, unknown>[]): Promise<void> {
  for (const one of cards) expect((await callerOf().register(one)).status).toBe(201)
}

test('agents are found by skill, label, health and text, and by all of them together', async ({ registry, db }) => {
  const make = (): Caller => registry.caller()
  await registerAll(make, [
    card('coder', { skills: [{ id: 'code.edit', tags: ['typescript'] }], labels: { team: 'core', tier: 'a=b' } }),
    card('reviewer', { skills: [{ id: 'code.review' }, { id: 'code.edit' }], labels: { team: 'core' } }),
    card('auditor', {
      skills: [{ id: 'audit.secrets', name: 'Find secrets' }],
      description: 'Looks for 100% of_all faults',
    }),
  ])
  const reader = make()
  expect(await namesOf(reader)).toEqual(['auditor', 'reviewer', 'coder'])
  expect(await namesOf(reader, '?skill=code.edit')).toEqual(['reviewer', 'coder'])
  expect(await namesOf(reader, '?skill=code')).toEqual([])
  expect(await namesOf(reader, '?label=team=core')).toEqual(['reviewer', 'coder'])
  expect(await namesOf(reader, '?label=tier=a%3Db')).toEqual(['coder'])
  expect(await namesOf(reader, '?label=team=other')).toEqual([])
  expect(await namesOf(reader, '?q=view')).toEqual(['reviewer'])
  expect(await namesOf(reader, '?q=SECRETS')).toEqual(['auditor'])
  expect(await namesOf(reader, '?q=typescript')).toEqual(['coder'])
  expect(await namesOf(reader, '?q=er')).toEqual(['reviewer', 'coder'])
  expect(await namesOf(reader, '?q=100%25')).toEqual(['auditor'])
  expect(await namesOf(reader, '?q=of_all')).toEqual(['auditor'])
  expect(await namesOf(reader, '?q=of%25all')).toEqual([])
  expect(await namesOf(reader, '?q=%5C')).toEqual([])
  expect(await namesOf(reader, "?q=';drop table agents--")).toEqual([])
  expect(await namesOf(reader, '?skill=code.edit&label=team=core&q=rev')).toEqual(['reviewer'])
  await sql`update agent_instances set health = 'critical' where agent_id in (select id from agents where name = 'coder')`.execute(
    db,
  )
  expect(await namesOf(reader, '?health=critical')).toEqual(['coder'])
  expect(await namesOf(reader, '?health=unknown')).toEqual(['auditor', 'reviewer'])
  expect(await namesOf(reader, '?health=unknown&skill=code.edit')).toEqual(['reviewer'])
})

test('an agent is as well as its best live instance, and unknown without one', async ({ registry, db }) => {
  const callers = [registry.caller(), registry.caller(), registry.caller()]
  const ids: string[] = []
  for (const caller of callers) ids.push((await caller.register()).body.instanceId)
  const reader = registry.caller()
  const set = async (healths: readonly string[], lifecycles = ['ready', 'ready', 'ready']): Promise<string> => {
    for (const [n, id] of ids.entries()) {
      await sql`update agent_instances set health = ${healths[n]}, lifecycle = ${lifecycles[n]} where id = ${id}`.execute(
        db,
      )
    }
    const { items } = (await reader.call<Page>('GET', '/v1/agents')).body
    const health = items[0]?.health ?? ''
    expect(await namesOf(reader, `?health=${health}`)).toEqual(['coder'])
    for (const other of ['passing', 'warning', 'unknown', 'critical'].filter((one) => one !== health)) {
      expect(await namesOf(reader, `?health=${other}`)).toEqual([])
    }
    return health
  }
  expect(await set(['critical', 'warning', 'passing'])).toBe('passing')
  expect(await set(['critical', 'warning', 'unknown'])).toBe('warning')
  expect(await set(['critical', 'critical', 'unknown'])).toBe('unknown')
  expect(await set(['critical', 'critical', 'critical'])).toBe('critical')
  expect(await set(['critical', 'critical', 'passing'], ['unhealthy', 'draining', 'stopped'])).toBe('critical')
  expect(await set(['passing', 'passing', 'passing'], ['stopped', 'reaped', 'failed'])).toBe('unknown')
})

test('slots in use are the tasks that the instance executes', async ({ registry, db, tenant }) => {
  const agent = registry.caller()
  const { body } = await agent.register(card('coder', { slots: 4 }))
  await giveTask(db, { tenantId: tenant.id, ...body })
  await giveTask(db, { tenantId: tenant.id, ...body })
  expect((await agent.read(body.id)).instances).toMatchObject([{ slots: 4, slotsUsed: 2 }])
})

test('pages are stable while agents come and go, newest first', async ({ registry }) => {
  const make = (): Caller => registry.caller()
  const cards = Array.from({ length: 25 }, (_, n) => card(`agent-${n}`))
  await registerAll(make, cards)
  const reader = make()
  const seen: string[] = []
  let cursor: string | undefined
  for (let page = 0; page < 10; page += 1) {
    const url = `/v1/agents?limit=7${cursor === undefined ? '' : `&cursor=${cursor}`}`
    const { body } = await reader.call<Page>('GET', url)
    seen.push(...body.items.map((agent) => agent.name))
    cursor = body.nextCursor
    if (cursor === undefined) break
    await registerAll(make, [card(`late-${page}`)])
  }
  expect(seen).toEqual(cards.map((one) => String(one['name'])).reverse())
})

test('a cursor, a limit and filters that make no sense are refused', async ({ registry }) => {
  const reader = registry.caller()
  for (const query of [
    'cursor=abc',
    'limit=0',
    'limit=501',
    'limit=x',
    'health=fine',
    'label=team',
    'skill=No',
    'q=',
    'sort=name',
    'tenantId=x',
  ]) {
    const answer = await reader.call('GET', `/v1/agents?${query}`)
    expect([query, answer.status, answer.body['code']]).toEqual([query, 400, 'request_invalid'])
  }
})

test('a card is what the agent says of itself, and no more', async ({ registry }) => {
  const agent = registry.caller()
  const said = card('coder', { description: 'writes', labels: { team: 'core' } })
  const { body } = await agent.register({ ...said, slots: 3 })
  expect((await agent.call('GET', `/v1/agents/${body.id}/card`)).body).toEqual(said)
})

describe('with 20,000 agents', () => {
  /** Two in a hundred are of the second tenant; one in a hundred is a rare bird. */
  async function fill(db: Db, tenants: readonly string[]): Promise<void> {
    const [first = '', second = ''] = tenants
    await sql`insert into agents (id, tenant_id, name, version, description, skills, skill_ids, labels)
      select gen_random_uuid(), case when n % 50 = 0 then ${second}::uuid else ${first}::uuid end, 'agent-' || n, '1', 'number ' || md5(n::text),
        '[{"id": "code.edit"}]', case when n % 100 = 1 then array['code.edit', 'rare.bird'] else array['code.edit'] end,
        jsonb_build_object('team', 'team-' || n % 200)
      from generate_series(1, 20000) as n`.execute(db)
    await sql`insert into agent_instances (id, tenant_id, agent_id, subject, version, skills, slots, lifecycle, health, incarnation,
        registered_at, last_heartbeat_at, lease_expires_at)
      select gen_random_uuid(), tenant_id, id, id::text, '1', skill_ids, 1, 'ready',
        case when name like '%77' then 'critical' else 'passing' end, 1, now(), now(), now() + interval '15 seconds'
      from agents`.execute(db)
  }

  test('every search uses an index', { timeout: 90_000 }, async ({ db, database, registry, tenant, secondTenant }) => {
    const owner = openDatabase({
      url: database.directUrl,
      poolMax: 1,
      applicationName: 'owner',
      onIdleError: () => undefined,
      queryTimeoutMs: 60_000, // the owner's statements have no limit at the server
    })
    try {
      await fill(owner.db, [tenant.id, secondTenant.id])
      await sql`analyze`.execute(owner.db)
    } finally {
      await owner.close()
    }
    const [some] = (await sql<{ id: string }>`select id from agents order by id desc offset 10000 limit 1`.execute(db))
      .rows
    // What is rare must be found through the index that knows it; for what is common, the newest ones are read and filtered.
    const searches: [filter: AgentFilter, index: string, below?: string | undefined][] = [
      [{}, 'agents_'],
      [{}, 'agents_', some?.id],
      [{ skill: 'code.edit' }, 'agents_'],
      [{ skill: 'rare.bird' }, 'agents_by_skill'],
      [{ skill: 'no.such' }, 'agents_by_skill'],
      [{ label: ['team', 'team-7'] }, 'agents_by_label'],
      [{ label: ['team', 'none'] }, 'agents_by_label'],
      [{ health: 'passing' }, 'agents_'],
      [{ health: 'critical' }, 'agent_instances_live'],
      [{ health: 'warning' }, 'agent_instances_live'],
      [{ text: 'agent-1999' }, 'agents_by_text'],
      [{ text: 'nothing like it' }, 'agents_by_text'],
      [{ text: 'agent', health: 'critical', skill: 'code.edit' }, 'agents_by_text'],
    ]
    for (const tenantId of [tenant.id, secondTenant.id]) {
      for (const [filter, index, below] of searches) {
        const what = JSON.stringify({ ...filter, below: below !== undefined, small: tenantId === secondTenant.id })
        const plans = await plansOf(db, async (recorder) => {
          await listAgents(recorder, tenantId, filter, { limit: 51, below })
        })
        expect(plans, what).toHaveLength(1)
        expect(plans.join('\n'), what).not.toMatch(/Seq Scan/)
        if (tenantId === tenant.id) expect(plans.join('\n'), what).toContain(index)
        // A small tenant must not pay for the agents of a large one.
        else if (Object.keys(filter).length === 0) expect(plans.join('\n'), what).toContain('agents_newest')
      }
    }
    const reader = registry.caller()
    expect((await namesOf(reader, '?q=agent-1999&limit=500')).sort()).toEqual([
      'agent-1999',
      ...Array.from({ length: 10 }, (_, n) => `agent-1999${n}`),
    ])
    expect((await namesOf(reader, '?skill=rare.bird&limit=500')).length).toBe(200)
    expect((await namesOf(reader, '?health=critical&limit=500')).length).toBe(200)
  })
})

/** The plans of the statements that `work` runs, which are explained instead of executed. */
async function plansOf(db: Db, work: (db: Db) => Promise<void>): Promise<string[]> {
  const statements: { sql: string; parameters: readonly unknown[] }[] = []
  const recorder = db.withPlugin({
    transformQuery: ({ node }) => node,
    transformResult: async ({ result }) => result,
  })
  const compiled = recorder.getExecutor()
  const original = compiled.executeQuery.bind(compiled)
  Object.assign(compiled, {
    executeQuery: async (query: { sql: string; parameters: readonly unknown[] }) => {
      statements.push(query)
      return await original(query as never)
    },
  })
  await work(recorder)
  return await Promise.all(
    statements.map(async (statement) => {
      const { rows } = await db.executeQuery<{ 'QUERY PLAN': string }>(
        CompiledQuery.raw(`explain ${statement.sql}`, [...statement.parameters]),
      )
      return rows.map((row) => row['QUERY PLAN']).join('\n')
    }),
  )
}
