import { newId } from '@hypercode/contracts'
import { hashSecret } from '@hypercode/db'
import type { Database, Db } from '@hypercode/db'
import { test } from '@hypercode/testkit'
import { sql } from 'kysely'
import { describe, expect } from 'vitest'
import { lease, missionRow, taskRow } from './rows.ts'

type Table = keyof Database
type Row = Readonly<Record<string, unknown>>

const now = new Date()
const ofTask = (): Row => ({ parent_task_id: newId(), root_id: newId(), depth: 1 })

/** A good row of each table that has a check, and what spoils it. The second member is part of the rule that must speak up. */
const CASES: readonly {
  table: Table
  good: (tenantId: string) => Row
  bad: readonly (readonly [string, string, Row])[]
}[] = [
  {
    table: 'missions',
    good: () => missionRow({ input: '{"a":1}' }),
    bad: [
      ['an unknown state', "'submitted'", { state: 'sleeping' }],
      ['fewer than no open tasks', 'open_tasks >= 0', { open_tasks: -1 }],
      ['an unknown policy', "'continue'", { on_task_failure: 'shrug' }],
      ['ended, with a state that goes on', 'ended_at IS NOT NULL) = ', { ended_at: now, open_tasks: 0 }],
      ['a final state without an end', 'ended_at IS NOT NULL) = ', { state: 'completed' }],
      ['ended, with open tasks', 'open_tasks = 0', { state: 'completed', ended_at: now }],
      ['going on, with nothing open', 'open_tasks = 0', { open_tasks: 0 }],
      ['of a task, without the outermost mission', 'parent_task_id IS NULL', { parent_task_id: newId(), depth: 1 }],
      ['of a task, without a depth', 'parent_task_id IS NULL', { parent_task_id: newId(), root_id: newId() }],
      ['a task is told of its end before that', 'parent_told_at IS NULL', { ...ofTask(), parent_told_at: now }],
    ],
  },
  {
    table: 'tasks',
    good: () => taskRow(),
    bad: [
      ['an unknown state', "'executing'", { state: 'sleeping' }],
      ['executing without an owner', 'lease_owner IS NOT NULL', { state: 'executing', attempt: 1 }],
      ['an owner without executing', 'lease_owner IS NOT NULL', { ...lease(), state: 'queued' }],
      ['executing without an end of its lease', 'lease_expires_at IS NULL', { ...lease(), lease_expires_at: null }],
      ['a lease that ends and has no owner', 'lease_expires_at IS NULL', { lease_expires_at: now }],
      ['ended, with a state that goes on', 'ended_at IS NOT NULL', { ended_at: now }],
      ...(['completed', 'failed', 'canceled', 'rejected', 'skipped'] as const).map(
        (state) => [`${state} without an end`, 'ended_at IS NOT NULL', { state }] as const,
      ),
      ['more attempts than allowed', 'attempt <= max_attempts', { attempt: 4 }],
      ['blocked by nothing', 'blocked_by > 0', { state: 'blocked' }],
      ['blocked by fewer than nothing', 'blocked_by >= 0', { state: 'completed', ended_at: now, blocked_by: -1 }],
      ['queued though blocked', "'scheduled'", { blocked_by: 1 }],
      ['scheduled though blocked', "'scheduled'", { state: 'scheduled', blocked_by: 1 }],
      ['executing though blocked', "'scheduled'", { ...lease(), blocked_by: 1 }],
      ['held without being queued', 'NOT held', { ...lease(), held: true }],
      ['a key with no place at all', 'concurrency_limit > 0', { concurrency_key: 'k', concurrency_limit: 0 }],
    ],
  },
  {
    table: 'mission_budgets',
    good: (tenant_id) => ({ mission_id: newId(), tenant_id, tokens_max: 100, tokens_used: 99 }),
    bad: [
      ['no tokens at all', 'tokens_max > 0', { tokens_max: 0, exhausted_at: now }],
      ['no money at all', 'usd_max > ', { usd_max: 0, exhausted_at: now }],
      ['no limit', 'tokens_max IS NOT NULL', { tokens_max: null }],
      ['used up, and nobody knows', 'exhausted_at IS NOT NULL', { tokens_used: 100 }],
      ['money used up, and nobody knows', 'exhausted_at IS NOT NULL', { usd_max: 1, usd_used: 1 }],
      ['used up before its time', 'exhausted_at IS NOT NULL', { exhausted_at: now }],
    ],
  },
  {
    table: 'queue_controls',
    good: (tenant_id) => ({ tenant_id, queue: newId(), max_executing: 1 }),
    bad: [['no place at all', 'max_executing > 0', { max_executing: 0 }]],
  },
  {
    table: 'spawns',
    good: (tenant_id) => ({ tenant_id, idempotency_key: 'k', request_hash: 'h', instance_ids: [newId()] }),
    bad: [['of nothing', 'cardinality(instance_ids) > 0', { instance_ids: [] }]],
  },
  {
    table: 'schedules',
    good: (tenant_id) => ({
      id: newId(),
      tenant_id,
      name: newId(),
      spec: '{}',
      next_at: now,
      fire_at: now,
      created_by: 'somebody',
    }),
    bad: [['due before its instant', 'fire_at >= next_at', { fire_at: new Date(0) }]],
  },
  {
    table: 'operations',
    good: (tenant_id) => ({
      id: newId(),
      tenant_id,
      action: 'cancelMission',
      filter: '{}',
      request_hash: 'h',
      correlation_id: 'c',
      created_by: 'a',
      state: 'running',
      targets: [newId()],
      matched: 1,
    }),
    bad: [
      ['an unknown state', "'aborting'::text", { state: 'sleeping' }],
      ['further than its end', '<= matched', { position: 2, done: 2 }],
      ['counts that do not add up', '+ skipped', { position: 1 }],
      ['ended, with a state that goes on', 'ended_at IS NOT NULL', { ended_at: now, targets: [] }],
      ['more targets than were matched', 'cardinality', { targets: [] }],
      ['completed too early', '= matched', { state: 'completed', ended_at: now, targets: [] }],
      ['aborted by nobody', 'aborted_by IS NOT NULL', { state: 'aborting' }],
    ],
  },
  {
    table: 'attempts',
    good: (tenant_id) => ({
      task_id: newId(),
      attempt: 1,
      tenant_id,
      agent_instance_id: newId(),
      incarnation: 1,
      claim_id: newId(),
    }),
    bad: [
      ['an attempt number 0', 'attempt > 0', { attempt: 0 }],
      ['an end without an outcome', 'outcome IS NULL', { ended_at: now }],
      ['an outcome without an end', 'outcome IS NULL', { outcome: 'completed' }],
    ],
  },
  {
    table: 'mission_events',
    good: (tenant_id) => ({ mission_id: newId(), seq: 1, tenant_id, type: 'task.queued' }),
    bad: [['an event number 0', 'seq > 0', { seq: 0 }]],
  },
  {
    table: 'dead_letters',
    good: (tenant_id) => ({ id: newId(), tenant_id, mission_id: newId(), task_id: newId(), key: 'k', error: '{}' }),
    bad: [
      ['an unknown resolution', "'replayed'", { resolution: 'eaten', resolved_at: now }],
      ['a resolution without a time', 'resolution IS NULL', { resolution: 'replayed' }],
      ['a time without a resolution', 'resolution IS NULL', { resolved_at: now }],
    ],
  },
  {
    table: 'revocations',
    good: (tenant_id) => ({ tenant_id, kind: 'token', ref: newId(), expires_at: now }),
    bad: [['an unknown kind', "'token'", { kind: 'person' }]],
  },
  {
    table: 'blueprint_aliases',
    good: (tenant_id) => ({ tenant_id, name: 'coder', alias: 'stable', version: 1 }),
    bad: [['an unknown alias', "'candidate'", { alias: 'best' }]],
  },
  {
    table: 'promotions',
    good: (tenant_id) => ({
      id: newId(),
      tenant_id,
      blueprint: 'coder',
      kind: 'promoted',
      version: 1,
      hash: 'h',
      reason: 'r',
      actor: 'a',
    }),
    bad: [['an unknown kind', "'demoted'", { kind: 'praised' }]],
  },
  {
    table: 'factory_instances',
    good: (tenant_id) => ({
      id: newId(),
      tenant_id,
      blueprint: 'coder',
      version: 1,
      hash: 'h',
      driver: 'process',
      role: 'member',
      origin: 'spawned',
      client_id: newId(),
      lifecycle: 'ready',
      desired: 'running',
    }),
    bad: [
      ['an unknown role', "'spare'", { role: 'extra' }],
      ['an unknown origin', "'population'", { origin: 'found' }],
      ['an unknown wish', "'hibernating'", { desired: 'asleep' }],
    ],
  },
  {
    table: 'gym_runs',
    good: (tenant_id) => gymRun(tenant_id),
    bad: [
      ['an unknown state', "'queued'::text, 'running'::text, 'completed'", { state: 'sleeping', ended_at: now }],
      ['an unknown verdict', "'inconclusive'", { state: 'completed', ended_at: now, verdict: 'nice' }],
      ['a verdict before its end', 'verdict IS NOT NULL', { verdict: 'passed' }],
      ['completed without a verdict', 'verdict IS NOT NULL', { state: 'completed', ended_at: now }],
      ['ended, with a state that goes on', '(ended_at IS NOT NULL) = ', { ended_at: now }],
      ['a final state without an end', '(ended_at IS NOT NULL) = ', { state: 'failed' }],
      ['cleaned up while it goes on', 'cleaned_at IS NULL', { cleaned_at: now }],
    ],
  },
  {
    table: 'waits',
    good: (tenant_id) => ({ task_id: newId(), name: 'w', tenant_id, mission_id: newId(), kind: 'timer', fire_at: now }),
    bad: [
      ['an unknown kind', "'approval'", { kind: 'hope' }],
      ['a signal without its name', 'signal IS NOT NULL', { kind: 'signal' }],
      ['a timer with a signal', 'signal IS NOT NULL', { signal: 's' }],
      ['a timer that fired early', 'fired_at >= fire_at', { fired_at: new Date(now.getTime() - 1) }],
    ],
  },
  {
    table: 'signals',
    good: (tenant_id) => ({
      id: newId(),
      tenant_id,
      mission_id: newId(),
      name: 's',
      payload: '{}',
      request_hash: 'h',
      sent_by: 'a',
    }),
    bad: [
      ['taken at no time', 'taken_by IS NULL', { taken_by: newId() }],
      ['taken by nobody', 'taken_by IS NULL', { taken_at: now }],
    ],
  },
  {
    table: 'approvals',
    good: (tenant_id) => approval(tenant_id),
    bad: [
      ['nobody to decide', 'quorum > 0', { quorum: 0 }],
      ['an unknown state', "'withdrawn'", { state: 'shelved', decided_at: now }],
      ['an unknown end', "'approve'", { on_timeout: 'shrug' }],
      ['a round number 0', 'verifies > 0', { verifies: 0 }],
      ['open, and decided', "state = 'open'", { decided_at: now }],
      ['decided at no time', "state = 'open'", { state: 'approved' }],
    ],
  },
  {
    table: 'verifications',
    good: (tenant_id) => ({
      task_id: newId(),
      round: 1,
      tenant_id,
      mission_id: newId(),
      attempt: 1,
      kind: 'agent',
      state: 'open',
      verifier_task_id: newId(),
    }),
    bad: [
      ['a round number 0', 'round > 0', { round: 0 }],
      ['an attempt number 0', 'attempt > 0', { attempt: 0 }],
      ['an unknown kind', "'command'::text, 'human'", { kind: 'oracle', verifier_task_id: null }],
      ['an unknown state', "'withdrawn'", { state: 'shelved', decided_at: now }],
      ['open, and decided', "state = 'open'", { decided_at: now }],
      ['decided at no time', "state = 'open'", { state: 'passed' }],
      ['by an agent, without its task', 'verifier_task_id IS NOT NULL', { verifier_task_id: null }],
      ['by an agent, with an approval', 'approval_id IS NOT NULL', { approval_id: newId() }],
    ],
  },
  {
    table: 'effects',
    good: (tenant_id) => ({
      task_id: newId(),
      name: 'mail',
      tenant_id,
      attempt: 1,
      state: 'intent',
      idempotent: true,
    }),
    bad: [
      ['an attempt number 0', 'attempt > 0', { attempt: 0 }],
      ['an unknown state', "'unknown'", { state: 'perhaps' }],
      ['done at no time', 'done_at IS NOT NULL', { state: 'done' }],
      ['a time, and not done', 'done_at IS NOT NULL', { done_at: now }],
    ],
  },
  {
    table: 'mission_context',
    good: (tenant_id) => ({ mission_id: newId(), key: 'k', tenant_id, value: '1', version: 1, updated_by: 'a' }),
    bad: [
      ['version 0', 'version >= 1', { version: 0 }],
      ['a task without its attempt', 'attempt IS NULL', { task_id: newId() }],
      ['an attempt without its task', 'attempt IS NULL', { attempt: 1 }],
    ],
  },
]

const approval = (tenant_id: string): Row => ({
  id: newId(),
  tenant_id,
  mission_id: newId(),
  task_id: newId(),
  task_key: 't',
  title: 'Ship it?',
  data: '{}',
  hash: 'h',
  approvers: [],
  quorum: 1,
  state: 'open',
  on_timeout: 'reject',
  escalate_to: [],
})

const gymRun = (tenant_id: string): Row => ({
  id: newId(),
  tenant_id,
  suite: 's',
  suite_version: 1,
  blueprint: 'coder',
  blueprint_version: 1,
  blueprint_hash: 'h',
  rule: '{}',
  parallel: 1,
  planned: 1,
  state: 'queued',
  created_by: 'a',
})

const insert = async (db: Db, table: Table, row: Row): Promise<void> => {
  await db
    .insertInto(table)
    .values(row as never)
    .execute()
}

/** The rule that refused, as Postgres writes it; fails when nothing refused or when it was something else than a check. */
async function refusal(db: Db, attempt: Promise<void>): Promise<string> {
  const error = await attempt.then(
    () => ({ code: 'nothing refused it', constraint: '' }),
    (reason: unknown) => reason as { code: string; constraint: string },
  )
  expect(error.code).toBe('23514')
  const { rows } = await sql<{ rule: string }>`
    select pg_get_constraintdef(oid) as rule from pg_constraint where conname = ${error.constraint}`.execute(db)
  return rows[0]?.rule ?? ''
}

for (const { table, good, bad } of CASES)
  describe(table, () => {
    test('takes a good row', async ({ db, tenant }) => {
      await insert(db, table, good(tenant.id))
      expect(
        await db
          .selectFrom(table)
          .select(({ fn }) => fn.countAll().as('n'))
          .execute(),
      ).toEqual([{ n: 1 }])
    })
    test('refuses a bad one', async ({ db, tenant }) => {
      for (const [what, rule, changes] of bad)
        expect(await refusal(db, insert(db, table, { ...good(tenant.id), ...changes })), what).toContain(rule)
    })
  })

test('a task that executes with everything it needs is taken', async ({ db }) => {
  await insert(db, 'tasks', taskRow(lease()))
  await insert(db, 'tasks', taskRow({ state: 'blocked', blocked_by: 2 }))
  await insert(db, 'tasks', taskRow({ state: 'completed', ended_at: now, attempt: 3 }))
  await insert(db, 'missions', missionRow({ state: 'failed', open_tasks: 0, ended_at: now }))
  expect(await db.selectFrom('tasks').select('id').execute()).toHaveLength(3)
})

describe('agent instances', () => {
  const instance = async (db: Db, tenantId: string): Promise<Row> => {
    const agent_id = newId()
    await insert(db, 'agents', {
      id: agent_id,
      tenant_id: tenantId,
      name: 'a',
      version: '1',
      skills: '[]',
      skill_ids: [],
    })
    return {
      id: newId(),
      tenant_id: tenantId,
      agent_id,
      subject: 's',
      version: '1',
      skills: [],
      slots: 1,
      lifecycle: 'ready',
      health: 'passing',
      incarnation: 1,
      registered_at: now,
    }
  }
  test('are taken when good and refused when bad', async ({ db, tenant }) => {
    const good = await instance(db, tenant.id)
    for (const [rule, changes] of [
      ['slots > 0', { slots: 0 }],
      ["'passing'", { health: 'fine' }],
      ['incarnation > 0', { incarnation: 0 }],
    ] as const)
      expect(await refusal(db, insert(db, 'agent_instances', { ...good, ...changes }))).toContain(rule)
    await insert(db, 'agent_instances', good)
    expect(await db.selectFrom('agent_instances').select('subject').execute()).toEqual([{ subject: 's' }])
  })
})

test('a sample of the gym is taken when good and refused when its state is unknown', async ({ db, tenant }) => {
  const run = gymRun(tenant.id)
  await insert(db, 'gym_runs', run)
  const good = {
    id: newId(),
    run_id: run['id'],
    tenant_id: tenant.id,
    ord: 1,
    scenario: 'one',
    repetition: 1,
    state: 'planned',
  }
  expect(await refusal(db, insert(db, 'gym_samples', { ...good, state: 'lucky' }))).toContain("'errored'")
  await insert(db, 'gym_samples', good)
})

test('the decision about an approval is taken when good and refused when unknown', async ({ db, tenant }) => {
  const asked = approval(tenant.id)
  await insert(db, 'approvals', asked)
  const good = {
    approval_id: asked['id'],
    round: 1,
    client: 'c',
    tenant_id: tenant.id,
    subject: 's',
    verdict: 'approve',
    hash: 'h',
  }
  expect(await refusal(db, insert(db, 'approval_decisions', { ...good, verdict: 'nod' }))).toContain("'reject'")
  await insert(db, 'approval_decisions', good)
})

// Goal: no check of the schema stays untested. Method: the rules of the catalogue against the ones that the cases above name.
test('every check has a case above', async ({ db }) => {
  const { rows } = await sql<{ table: string; rule: string }>`
    select conrelid::regclass::text as table, pg_get_constraintdef(oid) as rule from pg_constraint
    where contype = 'c' and connamespace = 'public'::regnamespace`.execute(db)
  const named = CASES.flatMap(({ table, bad }) => bad.map(([, rule]) => ({ table: table as string, rule })))
  const instances = ['slots > 0', "'passing'", 'incarnation > 0'].map((rule) => ({ table: 'agent_instances', rule }))
  const decisions = [{ table: 'approval_decisions', rule: "'reject'" }]
  const samples = [{ table: 'gym_samples', rule: "'errored'" }]
  const untested = rows.filter(
    (check) =>
      ![...named, ...decisions, ...instances, ...samples].some(
        ({ table, rule }) => check.table === table && check.rule.includes(rule),
      ),
  )
  expect(rows.length).toBeGreaterThan(15)
  expect(untested).toEqual([])
})

describe('what is there once cannot come again', () => {
  const UNIQUE = { code: '23505' }
  test('a mission by its idempotency key, within a tenant', async ({ db, tenant, secondTenant }) => {
    const keyed = (tenantId: string): Row => missionRow({ tenant_id: tenantId, idempotency_key: 'k' })
    await insert(db, 'missions', keyed(tenant.id))
    await insert(db, 'missions', keyed(secondTenant.id))
    await expect(insert(db, 'missions', keyed(tenant.id))).rejects.toMatchObject(UNIQUE)
    await insert(db, 'missions', missionRow({ tenant_id: tenant.id }))
    await insert(db, 'missions', missionRow({ tenant_id: tenant.id }))
  })
  test('a mission of a task that has not heard of its end', async ({ db }) => {
    const within = ofTask()
    const told = { state: 'failed', open_tasks: 0, ended_at: now, parent_told_at: now } as const
    await insert(db, 'missions', missionRow({ ...within, ...told }))
    await insert(db, 'missions', missionRow({ ...within, ...told }))
    await insert(db, 'missions', missionRow(within))
    await expect(insert(db, 'missions', missionRow(within))).rejects.toMatchObject(UNIQUE)
  })
  test('a task by its key, within a mission', async ({ db }) => {
    const mission_id = newId()
    await insert(db, 'tasks', taskRow({ mission_id, key: 'plan' }))
    await insert(db, 'tasks', taskRow({ key: 'plan' }))
    await expect(insert(db, 'tasks', taskRow({ mission_id, key: 'plan' }))).rejects.toMatchObject(UNIQUE)
  })
  test('a client by its name, within a tenant', async ({ db, tenant, secondTenant }) => {
    const secret_hash = await hashSecret('x')
    const client = (tenant_id: string): Row => ({ id: newId(), tenant_id, name: 'ci', scopes: [], secret_hash })
    await insert(db, 'clients', client(tenant.id))
    await insert(db, 'clients', client(secondTenant.id))
    await expect(insert(db, 'clients', client(tenant.id))).rejects.toMatchObject(UNIQUE)
  })
  test('an event by its number, within a mission', async ({ db, tenant }) => {
    const event = { mission_id: newId(), seq: 1, tenant_id: tenant.id, type: 'task.queued' }
    await insert(db, 'mission_events', event)
    await expect(insert(db, 'mission_events', event)).rejects.toMatchObject(UNIQUE)
  })
})
