import { writeAudit } from '@hypercode/db'
import { test } from '@hypercode/testkit'
import { sql } from 'kysely'
import { describe, expect } from 'vitest'

const DENIED = { code: '42501' }

describe('what the services may not do', () => {
  for (const [what, statement] of [
    ['change an audit row', `update audit set actor = 'nobody'`],
    ['delete an audit row', 'delete from audit'],
    ['empty the audit', 'truncate audit'],
    [
      'choose the number of an audit row',
      `insert into audit (id, tenant_id, actor, action) overriding system value values (9, gen_random_uuid(), 'a', 'b')`,
    ],
    [
      'choose the time of an audit row',
      `insert into audit (at, tenant_id, actor, action) values ('2001-01-01', gen_random_uuid(), 'a', 'b')`,
    ],
    ['drop a table', 'drop table tasks'],
    ['change a table', 'alter table tasks drop constraint tasks_check'],
    ['make a table', 'create table mine (id int)'],
    ['forget that a migration has run', 'delete from kysely_migration'],
    ['change which migrations have run', `update kysely_migration set name = 'x'`],
    ['hold up migrations', 'update kysely_migration_lock set is_locked = 1'],
    ['become the owner', 'set role hypercode_owner'],
  ] as const)
    test(what, async ({ db, tenant }) => {
      await writeAudit(db, [{ tenantId: tenant.id, actor: 'test', action: 'thing.made' }])
      await expect(sql.raw(statement).execute(db)).rejects.toMatchObject(DENIED)
      expect(await db.selectFrom('audit').select(['actor', 'action']).execute()).toEqual([
        { actor: 'test', action: 'thing.made' },
      ])
    })
})

test('the services may read, write, change and delete everything else', async ({ db }) => {
  const { rows } = await sql<{ table: string; rights: string[] }>`
    select c.relname as table, array(select r from unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE']) r
      where has_table_privilege(c.oid, r) or (r = 'INSERT' and has_any_column_privilege(c.oid, r))) as rights
    from pg_class c where relnamespace = 'public'::regnamespace and relkind = 'r' and relname not like 'kysely%'
    order by 1`.execute(db)
  expect(rows.length).toBeGreaterThan(15)
  for (const { table, rights } of rows)
    expect([table, rights]).toEqual([
      table,
      table === 'audit' ? ['SELECT', 'INSERT'] : ['SELECT', 'INSERT', 'UPDATE', 'DELETE'],
    ])
})

// They live on the role, since PgBouncer refuses them at connect and a SET would leak to the next client.
test('the time-outs of the role are in force through PgBouncer', async ({ db }) => {
  const { rows } = await sql<Record<string, string>>`
    select current_setting('statement_timeout') as statement, current_setting('lock_timeout') as lock,
      current_setting('idle_in_transaction_session_timeout') as idle`.execute(db)
  expect(rows).toEqual([{ statement: '5s', lock: '2s', idle: '5s' }])
})

// Method: one transaction holds a row; another one that wants it must get an error long before its caller gives up.
test('nobody waits for a lock for ever', async ({ db, tenant }) => {
  await db.transaction().execute(async (trx) => {
    await trx.updateTable('tenants').set({ name: 'held' }).where('id', '=', tenant.id).execute()
    await expect(
      db.updateTable('tenants').set({ name: 'wanted' }).where('id', '=', tenant.id).execute(),
    ).rejects.toMatchObject({ code: '55P03' })
  })
})
