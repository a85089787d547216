import { newId } from '@hypercode/contracts'
import type { Db } from '@hypercode/db'
import { test } from '@hypercode/testkit'
import pg from 'pg'
import { sql } from 'kysely'
import type { RawBuilder } from 'kysely'
import { expect } from 'vitest'
import { lease, taskRow } from './rows.ts'

const ENDED = 20_000

/** A table with a long past: many ended tasks, and a few that are alive. */
async function fill(db: Db, tenantId: string): Promise<void> {
  await sql`
    insert into tasks (id, tenant_id, mission_id, key, leaf, queue, state, max_attempts, retry, ended_at, total_deadline_at, available_at)
    select gen_random_uuid(), ${tenantId}, gen_random_uuid(), 'k', true, 'code.review', 'completed', 1, '{}', now(),
      now() - interval '1 day', now() - interval '1 day'
    from generate_series(1, ${ENDED})`.execute(db)
  const alive = Array.from({ length: 100 }, (_, n) => ({
    ...taskRow({ tenant_id: tenantId, priority: n % 5, available_at: new Date(Date.now() - n * 1000) }),
    queue_deadline_at: new Date(Date.now() + (n - 50) * 60_000),
    ...(n % 4 === 0 ? lease() : {}),
  }))
  await db
    .insertInto('tasks')
    .values(alive.map((row) => ({ ...row, lease_owner: row.lease_owner ?? null })))
    .execute()
}

interface PlanNode {
  'Node Type': string
  'Index Name'?: string
  'Plan Rows': number
  Plans?: PlanNode[]
}

async function planOf(db: Db, statement: RawBuilder<unknown>): Promise<PlanNode[]> {
  const { rows } = await sql<{ 'QUERY PLAN': [{ Plan: PlanNode }] }>`explain (format json) ${statement}`.execute(db)
  const all = (node: PlanNode): PlanNode[] => [node, ...(node.Plans ?? []).flatMap(all)]
  const root = rows[0]?.['QUERY PLAN'][0].Plan
  if (root === undefined) throw new Error('no plan')
  return all(root)
}

const STATEMENTS = (tenantId: string) => [
  {
    what: 'a claim',
    index: 'tasks_claimable',
    sorted: true,
    statement: sql`select id from tasks where tenant_id = ${tenantId} and queue = 'code.review' and state = 'queued' and ungated
      order by rank_at, id limit 10 for update skip locked`,
  },
  {
    what: 'the sweep of what is due',
    index: 'tasks_due',
    sorted: true,
    statement: sql`select id from tasks where due_at <= now() order by due_at limit 100 for update skip locked`,
  },
  {
    what: 'the tasks of an instance',
    index: 'tasks_leased',
    sorted: false,
    statement: sql`select id from tasks where lease_owner = ${newId()}`,
  },
]

// Goal: what the orchestrator asks all the time costs as little after a million tasks as on the first day.
// Method: 20,000 ended tasks beside 100 living ones; the planner's choice with fresh statistics, and with none.
for (const statistics of ['fresh', 'no'] as const)
  test(`claims and sweeps use their indexes with ${statistics} statistics`, async ({ db, database, tenant }) => {
    if (statistics === 'no') await asOwner(database.directUrl, 'alter table tasks set (autovacuum_enabled = false)')
    await fill(db, tenant.id)
    if (statistics === 'fresh') await asOwner(database.directUrl, 'analyze tasks')
    for (const { what, index, sorted, statement } of STATEMENTS(tenant.id)) {
      const plan = await planOf(db, statement)
      const kinds = plan.map((node) => node['Node Type'])
      expect(kinds, what).not.toContain('Seq Scan')
      expect(
        plan.map((node) => node['Index Name']),
        what,
      ).toContain(index)
      if (sorted && statistics === 'fresh') expect(kinds, `${what} reads in order`).not.toContain('Sort')
    }
  })

test('a claim reads a handful of pages', async ({ db, database, tenant }) => {
  await fill(db, tenant.id)
  await asOwner(database.directUrl, 'vacuum analyze tasks')
  const claim = STATEMENTS(tenant.id)[0]
  const { rows } = await sql<{ 'QUERY PLAN': [{ Plan: Record<string, number> }] }>`
    explain (analyze, buffers, format json) ${claim?.statement ?? sql``}`.execute(db)
  const plan = rows[0]?.['QUERY PLAN'][0].Plan ?? {}
  const pages = Number(plan['Shared Hit Blocks']) + Number(plan['Shared Read Blocks'])
  expect(plan['Actual Rows']).toBe(10)
  expect(pages).toBeLessThan(40)
})

async function asOwner(directUrl: string, statement: string): Promise<void> {
  const client = new pg.Client(directUrl)
  await client.connect()
  await client.query(statement)
  await client.end()
}
