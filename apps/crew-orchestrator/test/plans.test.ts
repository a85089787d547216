import { newId } from '@hypercode/contracts'
import type { ClaimedTask, Task } from '@hypercode/contracts'
import { openDatabase } from '@hypercode/db'
import type { Db } from '@hypercode/db'
import { CompiledQuery, sql } from 'kysely'
import type { KyselyPlugin, RootOperationNode } from 'kysely'
import { expect } from 'vitest'
import { cancelMission } from '../src/engine/cancel.ts'
import { completeAttempts, reportOf } from '../src/engine/complete.ts'
import { countUsage } from '../src/engine/count-usage.ts'
import { createOpenMissions } from '../src/engine/open-missions.ts'
import { resumeMission } from '../src/engine/pause.ts'
import { createRetention } from '../src/engine/retention.ts'
import { listDeadLetters } from '../src/store/dead-letters.ts'
import { readExplainFacts } from '../src/store/explain.ts'
import { recordStep, reportProgress, streamOutput } from '../src/store/journal.ts'
import { leaseTasks } from '../src/store/lease.ts'
import { lookForWork } from '../src/store/look-for-work.ts'
import { listMissions, readJournal, readMissions } from '../src/store/read-missions.ts'
import { findTask, listArtifacts, listTasks } from '../src/store/read-tasks.ts'
import { findTargets } from '../src/store/operation-targets.ts'
import { findExisting } from '../src/store/submit.ts'
import { readCosts, recordUsage } from '../src/store/usage.ts'
import { turnSubCrews } from './engine/sub-crew-turn.ts'
import { crewOf, stillTest as test, sweep } from './harness.ts'

const ENDED_MISSIONS = 5000
/** Tables that grow with every mission: reading one of them from end to end gets slower with every mission. */
const LARGE = new Set(['missions', 'tasks', 'attempts', 'mission_events', 'task_dependencies', 'usage'])

/** 5,000 ended missions of four tasks each, with attempts and events, beside what the test itself made; statistics are fresh. */
async function fillWithHistory(directUrl: string, tenantId: string): Promise<void> {
  const owner = openDatabase({ url: directUrl, poolMax: 1, applicationName: 'history', onIdleError: () => undefined })
  try {
    for (const statement of [
      `insert into missions (id, tenant_id, crew, state, total_tasks, open_tasks, on_task_failure, correlation_id, created_by, event_seq, ended_at, idempotency_key)
       select gen_random_uuid(), '${tenantId}', 'old', 'completed', 4, 0, 'fail', 'c' || n, 'somebody', 4, now(), 'k' || n from generate_series(1, ${ENDED_MISSIONS}) n`,
      `insert into tasks (id, tenant_id, mission_id, key, leaf, queue, state, attempt, max_attempts, retry, ended_at)
       select gen_random_uuid(), m.tenant_id, m.id, 't' || k, true, 'work', 'completed', 1, 3, '{}', now() from missions m, generate_series(1, 4) k where m.crew = 'old'`,
      `insert into attempts (task_id, attempt, tenant_id, agent_instance_id, incarnation, claim_id, ended_at, outcome)
       select t.id, 1, t.tenant_id, gen_random_uuid(), 1, gen_random_uuid(), now(), 'completed' from tasks t where t.state = 'completed'`,
      `insert into mission_events (mission_id, seq, tenant_id, type, task_id)
       select t.mission_id, row_number() over (partition by t.mission_id), t.tenant_id, 'task.completed', t.id from tasks t where t.state = 'completed'`,
      `insert into task_dependencies (tenant_id, task_id, depends_on)
       select a.tenant_id, a.id, b.id from tasks a join tasks b on b.mission_id = a.mission_id and b.key = 't1' where a.key <> 't1' and a.state = 'completed'`,
      `insert into usage (task_id, key, tenant_id, mission_id, attempt, model, input_tokens, output_tokens, usd)
       select t.id, 'k', t.tenant_id, t.mission_id, 1, 'm', 1, 1, 0.1 from tasks t where t.state = 'completed'`,
      `analyze`,
    ])
      await sql.raw(statement).execute(owner.db)
  } finally {
    await owner.close()
  }
}

/** The same database, and every statement that goes through it. */
function recorded(db: Db): { db: Db; statements: RootOperationNode[] } {
  const statements: RootOperationNode[] = []
  const plugin: KyselyPlugin = {
    transformQuery: ({ node }) => {
      statements.push(node)
      return node
    },
    transformResult: async ({ result }) => result,
  }
  return { db: db.withPlugin(plugin), statements }
}

interface PlanNode {
  'Node Type': string
  'Relation Name'?: string
  'Actual Rows'?: number
  'Actual Loops'?: number
  'Rows Removed by Filter'?: number
  Plans?: PlanNode[]
}

const nodesOf = (node: PlanNode): PlanNode[] => [node, ...(node.Plans ?? []).flatMap(nodesOf)]

/** What Postgres would read from end to end for this statement. */
async function scans(db: Db, statement: RootOperationNode): Promise<string[]> {
  const compiled = db.getExecutor().compileQuery(statement, { queryId: newId() })
  const { rows } = await db.transaction().execute(async (trx) => {
    // The role of the services plans no sequential scans: without an index it would read one from end to end, and hide that.
    await sql`set local enable_seqscan = on`.execute(trx)
    return await trx.executeQuery<{ 'QUERY PLAN': { Plan: PlanNode }[] }>(
      CompiledQuery.raw(`explain (format json) ${compiled.sql}`, [...compiled.parameters]),
    )
  })
  return nodesOf((rows[0] as { 'QUERY PLAN': [{ Plan: PlanNode }] })['QUERY PLAN'][0].Plan)
    .filter((node) => node['Node Type'] === 'Seq Scan' && LARGE.has(node['Relation Name'] ?? ''))
    .map((node) => node['Relation Name'] as string)
}

/** The most rows that Postgres looks at in one of the large tables to answer this statement. */
async function rowsRead(db: Db, statement: RootOperationNode): Promise<number> {
  const compiled = db.getExecutor().compileQuery(statement, { queryId: newId() })
  const { rows } = await db.executeQuery<{ 'QUERY PLAN': { Plan: PlanNode }[] }>(
    CompiledQuery.raw(`explain (analyze, format json) ${compiled.sql}`, [...compiled.parameters]),
  )
  const read = nodesOf((rows[0] as { 'QUERY PLAN': [{ Plan: PlanNode }] })['QUERY PLAN'][0].Plan)
    .filter((node) => LARGE.has(node['Relation Name'] ?? '') || node['Relation Name'] === 'dead_letters')
    .map((node) => ((node['Actual Rows'] ?? 0) + (node['Rows Removed by Filter'] ?? 0)) * (node['Actual Loops'] ?? 0))
  return Math.max(...read)
}

test('with 20,000 ended tasks no statement reads a large table from end to end', async ({
  stage,
  database,
  tenant,
}) => {
  const agent = await stage.agent(['work', 'other'], { slots: 50 })
  const mission = await stage.submit(
    crewOf('live', [
      { id: 'a' },
      { id: 'b', dependsOn: ['a'], input: '${tasks.a.output}' },
      { id: 'c', forEach: [1, 2, 3], timeouts: { total: '1h', attempt: '1h' } },
      { id: 'd', skill: 'other', dependsOn: ['c'], input: '${tasks.c.output}' },
    ]),
  )
  for (let index = 0; index < 50; index += 1)
    await stage.submit(crewOf('live', [{ id: 'a' }, { id: 'b', dependsOn: ['a'] }], { policy: { deadline: '1h' } }))
  await stage.operator.call('POST', '/v1/crews', crewOf('inner', [{ id: 'within', skill: 'deep' }]))
  const outer = await stage.submit(
    crewOf('outer', [{ id: 'x', crew: 'inner', member: undefined, forEach: [1, 2] }], {
      policy: { budget: { tokens: 10 } },
    }),
  )
  await turnSubCrews(stage)
  const diver = await stage.agent(['deep'])
  const [within] = (await diver.claim({ max: 1 })) as [ClaimedTask]
  const held = await agent.claim({ max: 20 })
  await fillWithHistory(database.directUrl, tenant.id)

  const { db, statements } = recorded(stage.db)
  const tasks = held.filter((task) => task.missionId === mission.id) as [ClaimedTask, ClaimedTask]
  const spending = held.find((task) => task.missionId !== mission.id) as ClaimedTask
  const fence = { tenantId: tenant.id, subject: agent.subject, incarnation: 1 }
  const fenceOf = ({ taskId }: ClaimedTask) => ({ ...fence, taskId, attempt: 1 })
  const ref = { tenantId: tenant.id, id: mission.id }

  const run: Record<string, () => Promise<unknown>> = {
    claim: () => leaseTasks(db, tenant.id, ['work', 'other'], [{ ...fence, claimId: newId(), max: 10 }], 15_000),
    'repeated claim': () => leaseTasks(db, tenant.id, ['work'], [{ ...fence, claimId: newId(), max: 10 }], 15_000),
    'look for work': () => lookForWork(db, tenant.id, ['work', 'other'], [{ ...fence, claimId: newId(), max: 10 }]),
    progress: () => reportProgress(db, fenceOf(tasks[0]), { incarnation: 1, attempt: 1, fraction: 0.5 }),
    step: () => recordStep(db, fenceOf(tasks[0]), { name: 's', response: 1 }),
    output: () => streamOutput(db, fenceOf(tasks[0]), 'hello', 1000),
    usage: async () => {
      const call = { incarnation: 1, attempt: 1, model: 'm', inputTokens: 1, outputTokens: 1, usd: 0.1 }
      for (const key of ['k', 'k']) await recordUsage(db, fenceOf(tasks[0]), { ...call, key })
    },
    'usage of a mission with a budget': async () => {
      await sql`insert into mission_budgets (mission_id, tenant_id, tokens_max, tokens_used) values (${spending.missionId}, ${tenant.id}, 3, 2)`.execute(
        stage.db,
      )
      const call = { incarnation: 1, attempt: 1, model: 'm', inputTokens: 1, outputTokens: 1, usd: 0.1 }
      expect((await countUsage(db, fenceOf(spending), { ...call, key: 'budgeted' })).kind).toBe('written')
    },
    'usage within a mission with a budget': async () => {
      const call = { incarnation: 1, attempt: 1, model: 'm', inputTokens: 9, outputTokens: 1, usd: 0.1 }
      const { saved } = await countUsage(
        db,
        { ...fenceOf(within), subject: diver.subject },
        { ...call, key: 'the last one' },
      )
      expect(new Set(saved.told.map(({ missionId }) => missionId))).toEqual(new Set([outer.id, within.missionId]))
    },
    'missions within that follow': async () => expect(await turnSubCrews(stage, db)).toBe(1),
    'why a task within waits': async () => {
      const { items } = (await stage.operator.call<{ items: Task[] }>('GET', `/v1/missions/${within.missionId}/tasks`))
        .body
      expect((await readExplainFacts(db, tenant.id, (items[0] as Task).id))?.around).toHaveLength(1)
    },
    'a mission within that is not resumed': () =>
      expect(
        resumeMission(db, { tenantId: tenant.id, missionId: within.missionId, actor: 'me' }),
      ).rejects.toMatchObject({ status: 409 }),
    costs: () => readCosts(db, tenant.id, mission.id),
    'costs with those within': async () =>
      expect(await readCosts(db, tenant.id, outer.id)).toMatchObject({ within: { missions: 2, calls: 1 } }),
    complete: () =>
      completeAttempts(
        db,
        tasks.map((task) =>
          reportOf(fenceOf(task), { taskId: task.taskId, attempt: 1, outcome: 'completed', output: 1 }),
        ),
      ),
    'completion again': () =>
      completeAttempts(db, [
        reportOf(fenceOf(tasks[0]), { taskId: tasks[0].taskId, attempt: 1, outcome: 'completed', output: 1 }),
      ]),
    sweep: async () => {
      await sql`update tasks set attempt_deadline_at = now() where state = 'executing' and attempt_deadline_at is not null`.execute(
        stage.db,
      )
      await sql`update missions set deadline_at = now() where id in (select mission_id from tasks where state = 'executing' limit 3)`.execute(
        stage.db,
      )
      await sweep(stage, { db, cancelGraceMs: 0 })
    },
    cancel: () => cancelMission(db, { tenantId: tenant.id, missionId: mission.id, actor: 'me', reason: undefined }),
    'the check of open missions': () => createOpenMissions(db, 100_000).admit(tenant.id, 1),
    'idempotency keys': () =>
      findExisting(db, [
        { id: newId(), tenantId: tenant.id, idempotencyKey: 'k7' },
        { id: newId(), tenantId: tenant.id, idempotencyKey: null },
      ]),
    'what can be retried': () => findTargets(db, tenant.id, 'retryMission', { crew: 'live' }, 100),
    'what can be replayed': () => findTargets(db, tenant.id, 'replayDeadLetter', { crew: 'live' }, 100),
    'read missions': () => readMissions(db, [ref]),
    'list missions': () => listMissions(db, tenant.id, { limit: 51 }),
    'next page of missions': () => listMissions(db, tenant.id, { limit: 51, cursor: mission.id }),
    'missions of a correlation id': () => listMissions(db, tenant.id, { limit: 51, correlationId: 'c77' }),
    'list tasks': () => listTasks(db, mission.id, 51, undefined),
    'next page of tasks': () => listTasks(db, mission.id, 51, newId()),
    'read a task': () => findTask(db, tenant.id, tasks[0].taskId),
    journal: () => readJournal(db, mission.id, 51, 0),
    artifacts: () => listArtifacts(db, mission.id, 51, undefined),
    'dead letters': () => listDeadLetters(db, tenant.id, { limit: 51 }),
    'old missions': async () => {
      const fail = (error: unknown): never => {
        throw error
      }
      const retention = createRetention({ db, retentionMs: 0, onDeleted: () => undefined, onFault: fail })
      expect(await retention.turn()).toBeGreaterThan(10)
    },
    'leases of an instance, as a heartbeat renews them': () =>
      sql`with mine as (select t.id from tasks t join missions m on m.id = t.mission_id where t.lease_owner = ${agent.instanceId} and t.state = 'executing' for no key update of t skip locked)
        update tasks t set lease_expires_at = greatest(t.lease_expires_at, now() + interval '15 s') from mine where t.id = mine.id`.execute(
        db,
      ),
  }
  const found: Record<string, string[]> = {}
  for (const [name, act] of Object.entries(run)) {
    statements.length = 0
    await act()
    expect(statements.length, name).toBeGreaterThan(0)
    for (const statement of [...statements]) {
      const read = await scans(stage.db, statement)
      if (read.length > 0) found[name] = [...new Set([...(found[name] ?? []), ...read])]
    }
  }
  expect(found).toEqual({})
})

test('what can be retried by filter is found page by page, without a look at what went well', async ({
  stage,
  database,
  tenant,
}) => {
  const agent = await stage.agent(['work'])
  const ids: string[] = []
  for (const crew of ['one', 'two', 'one', 'two', 'one'])
    ids.push((await stage.submit(crewOf(crew, [{ id: 'a', retry: { maxAttempts: 1 } }]))).id)
  for (const task of await agent.claim({ max: 5 })) await agent.fail(task)
  const open = await stage.submit(crewOf('one', [{ id: 'a' }]))
  await fillWithHistory(database.directUrl, tenant.id)
  const { db, statements } = recorded(stage.db)
  for (const action of ['retryMission', 'discardDeadLetter'] as const) {
    statements.length = 0
    const found = await findTargets(db, tenant.id, action, { crew: 'one' }, 10, 2)
    expect(found).toHaveLength(3)
    if (action === 'retryMission') expect(found).toEqual([ids[0], ids[2], ids[4]])
    expect(found).not.toContain(open.id)
    const read = await Promise.all(statements.map(async (statement) => await rowsRead(stage.db, statement)))
    expect(
      read.map((rows) => rows <= 2),
      action,
    ).toEqual([true, true, true])
    expect(await findTargets(db, tenant.id, action, { all: true }, 4, 2), action).toHaveLength(4)
  }
})

test('a plan that reads from end to end would be seen', async ({ stage, database, tenant }) => {
  await fillWithHistory(database.directUrl, tenant.id)
  const { db, statements } = recorded(stage.db)
  // Of a column that no index holds: a table that was vacuumed meanwhile would be counted in an index.
  await sql`select count(output) from tasks where key = 't1'`.execute(db)
  expect(await scans(stage.db, statements[0] as RootOperationNode)).toEqual(['tasks'])
})
