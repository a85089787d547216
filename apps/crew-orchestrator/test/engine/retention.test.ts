import type { ClaimedTask, DeadLetter, Mission } from '@hypercode/contracts'
import { openDatabase } from '@hypercode/db'
import type { Db } from '@hypercode/db'
import { sql } from 'kysely'
import { describe, expect } from 'vitest'
import { createRetention } from '../../src/engine/retention.ts'
import { NOT_OURS, OF_MISSIONS, OF_TASKS } from '../../src/store/retention.ts'
import { crewOf, stillTest as test } from '../harness.ts'
import type { AgentCaller, Stage } from '../harness.ts'
import { expectInvariants } from '../invariants.ts'
import { turnSubCrews } from './sub-crew-turn.ts'
import { finished, known } from './retaining.ts'

/** What ended more than `retentionMs` ago goes. */
async function retain(db: Db, retentionMs = 0): Promise<number> {
  const retention = createRetention({
    db,
    retentionMs,
    onDeleted: () => undefined,
    onFault: (error) => {
      throw error
    },
  })
  return await retention.turn()
}

/** Tables that name a mission or a task in a column of their own, from the database itself. */
async function namingTables(db: Db): Promise<{ table: string; column: 'mission_id' | 'task_id' }[]> {
  const { rows } = await sql<{ table: string; column: 'mission_id' | 'task_id' }>`
    select table_name as "table", column_name as "column" from information_schema.columns
    where table_schema = 'public' and column_name in ('mission_id', 'task_id') order by 1, 2`.execute(db)
  return rows
}

/** One mission with a row in every table that a mission can have rows in; it has ended well, and its dead letter is discarded. */
async function furnished(stage: Stage, agent: AgentCaller): Promise<string> {
  const { id } = await stage.submit(
    crewOf(
      'full',
      [
        { id: 'a', retry: { maxAttempts: 1, onExhausted: 'pause' } },
        { id: 'b', dependsOn: ['a'], verify: { kind: 'schema', schema: {} } },
        { id: 'c', approval: {} },
      ],
      { policy: { budget: { tokens: 1000 } } },
    ),
  )
  const fenceOf = ({ attempt }: ClaimedTask) => ({ incarnation: agent.incarnation, attempt })
  const write = async (method: string, task: ClaimedTask, path: string, body: object): Promise<void> => {
    const answer = await agent.call(method, `/v1/tasks/${task.taskId}/${path}`, { ...fenceOf(task), ...body })
    expect([path, answer.status < 300]).toEqual([path, true])
  }
  const [first] = (await agent.claim()) as [ClaimedTask]
  await write('PUT', first, 'steps/plan', { response: 1 })
  await write('PUT', first, 'effects/mail', { state: 'intent', idempotent: true })
  await write('PUT', first, 'effects/mail', { state: 'done', idempotent: true, response: 1 })
  await write('PUT', first, 'context/shared', { value: 1 })
  await write('POST', first, 'usage', { key: 'k', model: 'm', inputTokens: 1, outputTokens: 1, usd: 0 })
  await agent.call(
    'PUT',
    `/v1/tasks/${first.taskId}/artifacts/report?incarnation=${agent.incarnation}&attempt=1`,
    Buffer.from('x'),
    { 'content-type': 'text/plain' },
  )
  await stage.operator.call('POST', `/v1/missions/${id}:signal`, { name: 'kept' })
  await agent.fail(first)
  const { body: letters } = await stage.operator.call<{ items: DeadLetter[] }>('GET', '/v1/dead-letters')
  await stage.operator.call('POST', `/v1/dead-letters/${letters.items[0]?.id}:replay`)
  const [again] = (await agent.claim()) as [ClaimedTask]
  await agent.report({
    taskId: again.taskId,
    attempt: again.attempt,
    outcome: 'waiting',
    wait: { kind: 'signal', name: 'w', signal: 'kept' },
  })
  const asked = await stage.db
    .selectFrom('approvals')
    .select(['id', 'hash'])
    .where('mission_id', '=', id)
    .executeTakeFirstOrThrow()
  const decided = await stage.operator.call('POST', `/v1/approvals/${asked.id}:approve`, { hash: asked.hash })
  expect(decided.status, JSON.stringify(decided.body)).toBe(200)
  for (;;) {
    const claimed = await agent.claim({ waitMs: 0 })
    if (claimed.length === 0) break
    for (const task of claimed) await agent.complete(task)
  }
  expect((await stage.mission(id)).state).toBe('completed')
  return id
}

test('every table that names a mission or a task is either deleted from, or not ours', async ({ db }) => {
  const named = new Set((await namingTables(db)).map(({ table }) => table))
  expect([...named].sort()).toEqual([...new Set([...OF_TASKS, ...OF_MISSIONS, ...NOT_OURS, 'mission_events'])].sort())
})

describe('a mission whose retention is over', () => {
  test('is gone with all that belonged to it, and with nothing else; the audit is kept', async ({ stage, db }) => {
    const agent = await stage.agent(['work'])
    const old = await furnished(stage, agent)
    const other = await furnished(stage, agent)
    const outlives: ReadonlySet<string> = new Set(NOT_OURS)
    const ours = await db.selectFrom('tasks').select('id').where('mission_id', '=', old).execute()
    const rowsOf = async (ids: readonly string[]) => {
      const found = new Map<string, number>()
      for (const { table, column } of (await namingTables(db)).filter((one) => !outlives.has(one.table))) {
        const { rows } = await sql<{ n: number }>`
          select count(*)::int as n from ${sql.table(table)} where ${sql.ref(column)} = any(${ids}::uuid[])`.execute(db)
        found.set(table, (found.get(table) ?? 0) + (rows[0]?.n ?? 0))
      }
      return found
    }
    const ids = [old, ...ours.map(({ id }) => id)]
    const before = await rowsOf(ids)
    expect([...before].filter(([, n]) => n === 0)).toEqual([])
    const decisions = async () => (await db.selectFrom('approval_decisions').select('approval_id').execute()).length
    const audit = async () => (await db.selectFrom('audit').select('id').execute()).length
    const [audited, decided] = [await audit(), await decisions()]
    // Only the first of them is old.
    await sql`update missions set ended_at = now() - interval '2 hours' where id = ${old}`.execute(db)
    expect(await retain(db, 3_600_000 - 1)).toBe(1)
    expect(await known(db)).toEqual([other])
    expect([...(await rowsOf(ids)).values()]).toEqual([...before.keys()].map(() => 0))
    expect([await audit(), await decisions()]).toEqual([audited, decided - 1])
    expect((await stage.operator.call('GET', `/v1/missions/${old}`)).status).toBe(404)
    expect((await stage.mission(other)).state).toBe('completed')
    await expectInvariants(stage.db)
    expect(await retain(db)).toBe(1)
    expect(await known(db)).toEqual([])
    expect(await db.selectFrom('mission_events').select('seq').execute()).toEqual([])
  })

  test('stays while it is open, or too young', async ({ stage, db }) => {
    const agent = await stage.agent(['work'])
    const ended = await finished(stage, agent)
    const { id: open } = await stage.submit(crewOf('x', [{ id: 'a' }]))
    expect(await retain(db, 3_600_000)).toBe(0)
    expect(await known(db)).toEqual([ended, open])
    expect(await retain(db)).toBe(1)
    expect(await known(db)).toEqual([open])
  })

  test('stays while a dead letter of it is open', async ({ stage, db }) => {
    const agent = await stage.agent(['work'])
    const { id } = await stage.submit(crewOf('x', [{ id: 'a', retry: { maxAttempts: 1 } }]))
    const [task] = (await agent.claim()) as [ClaimedTask]
    await agent.fail(task)
    expect((await stage.mission(id)).state).toBe('failed')
    expect(await retain(db)).toBe(0)
    const { body } = await stage.operator.call<{ items: DeadLetter[] }>('GET', '/v1/dead-letters')
    await stage.operator.call('POST', `/v1/dead-letters/${body.items[0]?.id}:discard`)
    expect(await retain(db)).toBe(1)
    expect(await known(db)).toEqual([])
  })

  test('stays while a mission around it, or within it, is open', async ({ stage, db }) => {
    const agent = await stage.agent(['work'])
    await stage.operator.call('POST', '/v1/crews', crewOf('inner', [{ id: 'i' }]))
    const { id: outer } = await stage.submit(
      crewOf('outer', [
        { id: 'x', member: undefined, crew: 'inner' },
        { id: 'y', dependsOn: ['x'] },
      ]),
    )
    await turnSubCrews(stage)
    const [task] = (await agent.claim()) as [ClaimedTask]
    await agent.complete(task)
    expect((await stage.mission(task.missionId)).state).toBe('completed')
    expect(await retain(db)).toBe(0)
    await turnSubCrews(stage)
    const [last] = (await agent.claim()) as [ClaimedTask]
    await agent.complete(last)
    expect((await stage.mission(outer)).state).toBe('completed')
    // As after a cancel that has not reached it yet.
    await sql`update missions set state = 'running', open_tasks = 1, ended_at = null, parent_told_at = null where id = ${task.missionId}`.execute(
      db,
    )
    expect(await retain(db)).toBe(0)
    await sql`update missions set state = 'completed', open_tasks = 0, ended_at = now() - interval '2 hours' where id = ${task.missionId}`.execute(
      db,
    )
    // It is part of what the one around it has cost, and goes with that.
    expect(await retain(db, 3_600_000 - 1)).toBe(0)
    expect(await retain(db)).toBe(2)
    expect(await known(db)).toEqual([])
  })

  test('stays before one that does it again and shows its artifacts', async ({ stage, db }) => {
    const agent = await stage.agent(['work'])
    const { id } = await stage.submit(crewOf('x', [{ id: 'a' }, { id: 'b', dependsOn: ['a'] }]))
    const [task] = (await agent.claim()) as [ClaimedTask]
    await agent.complete(task)
    await stage.operator.call('POST', `/v1/missions/${id}:cancel`)
    const { body: again } = await stage.operator.call<Mission>('POST', `/v1/missions/${id}:retry`)
    expect(await retain(db)).toBe(0)
    const [rest] = (await agent.claim()) as [ClaimedTask]
    await agent.complete(rest)
    expect((await stage.mission(again.id)).state).toBe('completed')
    expect(await retain(db)).toBe(1)
    expect(await known(db)).toEqual([id])
    expect(await retain(db)).toBe(1)
  })

  test('that cannot be deleted is told of, and stops no other', async ({ stage, db, database }) => {
    const agent = await stage.agent(['work'])
    const ids: string[] = []
    for (let n = 0; n < 5; n += 1) ids.push(await finished(stage, agent))
    const owner = openDatabase({
      url: database.directUrl,
      poolMax: 1,
      applicationName: 'owner',
      onIdleError: () => undefined,
    })
    try {
      for (const statement of [
        `create function refuse() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$`,
        `create trigger refuse before delete on missions for each row when (old.id = '${ids[2]}') execute function refuse()`,
      ])
        await sql.raw(statement).execute(owner.db)
    } finally {
      await owner.close()
    }
    const faults: string[] = []
    const retention = createRetention({
      db,
      retentionMs: 0,
      onDeleted: () => undefined,
      onFault: (_, id) => faults.push(id),
    })
    expect(await retention.turn()).toBe(4)
    expect(faults).toEqual([ids[2]])
    expect(await known(db)).toEqual([ids[2]])
    expect(await stage.tasks(ids[2] as string)).toHaveLength(1)
    await expectInvariants(stage.db)
  })
})
