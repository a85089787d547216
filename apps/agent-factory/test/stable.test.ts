import { newId } from '@hypercode/contracts'
import type { Blueprint, Promotion, Verdict } from '@hypercode/contracts'
import type { Db } from '@hypercode/db'
import { sql } from 'kysely'
import { expect } from 'vitest'
import { test } from './factory.ts'

/** What the gym would have written. */
async function suite(db: Db, tenantId: string, name: string, version = 1): Promise<void> {
  await sql`insert into gym_suites (id, tenant_id, name, version, hash, manifest, created_by)
    values (${newId()}, ${tenantId}, ${name}, ${version}, ${`${name}-${version}`}, '{}', 'test')`.execute(db)
}
async function run(
  db: Db,
  tenantId: string,
  { name, version, hash }: Blueprint,
  suiteName: string,
  verdict: Verdict,
  suiteVersion = 1,
): Promise<string> {
  const id = newId()
  await sql`insert into gym_runs (id, tenant_id, suite, suite_version, blueprint, blueprint_version, blueprint_hash, rule, parallel, planned, state, verdict,
      created_by, ended_at)
    values (${id}, ${tenantId}, ${suiteName}, ${suiteVersion}, ${name}, ${version}, ${hash}, '{}', 1, 1, 'completed', ${verdict}, 'test', now())`.execute(
    db,
  )
  return id
}

const GATED = { gate: { suites: ['skill', 'safety'] } }

test('a version becomes stable by the latest passing run of every suite of its gate, for its own content', async ({
  startFactory,
  db,
  tenant,
}) => {
  const caller = (await startFactory()).caller()
  const blueprint = await caller.blueprint('coder', GATED)
  const promote = async () => await caller.call<Promotion>('POST', '/v1/blueprints/coder/versions/1:promote')
  const missing = async () =>
    ((await promote()).body as unknown as { faults: { message: string }[] }).faults.map((fault) => fault.message)

  expect(await promote()).toMatchObject({ status: 403, body: { code: 'gym_required' } })
  expect(await missing()).toEqual(['there is no suite "skill"', 'there is no suite "safety"'])
  await suite(db, tenant.id, 'skill')
  await suite(db, tenant.id, 'safety')
  const skill = await run(db, tenant.id, blueprint, 'skill', 'passed')
  await run(db, tenant.id, blueprint, 'safety', 'inconclusive')
  expect(await missing()).toEqual([expect.stringContaining('"safety" ended inconclusive')])
  // Another content that has passed helps nobody.
  await run(db, tenant.id, { ...blueprint, hash: 'another' }, 'safety', 'passed')
  expect(await missing()).toHaveLength(1)
  await run(db, tenant.id, blueprint, 'safety', 'passed')
  const old = await run(db, tenant.id, blueprint, 'safety', 'failed')
  expect(await missing()).toEqual([expect.stringContaining(`${old} of suite "safety" ended failed`)])
  const safety = await run(db, tenant.id, blueprint, 'safety', 'passed')
  await suite(db, tenant.id, 'skill', 2)
  expect(await missing()).toEqual([expect.stringContaining('which is at version 2')])
  const newer = await run(db, tenant.id, blueprint, 'skill', 'passed', 2)

  const promoted = await promote()
  expect(promoted).toMatchObject({
    status: 200,
    body: { kind: 'promoted', version: 1, stable: 1, hash: blueprint.hash },
  })
  expect(new Set(promoted.body.runIds)).toEqual(new Set([safety, newer]))
  expect(promoted.body.runIds).not.toContain(skill)
  expect((await promote()).body).toEqual(promoted.body)

  const { body: history } = await caller.call<{ items: Promotion[] }>('GET', '/v1/blueprints/coder/promotions')
  expect(history.items.map((one) => one.kind)).toEqual(['promoted', ...Array(6).fill('refused')])
  expect(history.items[0]).toEqual(promoted.body)
  const audit = await db
    .selectFrom('audit')
    .select('action')
    .where('tenant_id', '=', tenant.id)
    .where('ref', '=', 'coder@1')
    .execute()
  expect(new Set(audit.map((row) => row.action))).toEqual(
    new Set(['blueprint.created', 'blueprint.refused', 'blueprint.promoted']),
  )
})

test('stable goes up and back; without one, nothing is spawned as stable', async ({
  startFactory,
  db,
  tenant,
  secondTenant,
}) => {
  const factory = await startFactory()
  const caller = factory.caller()
  await suite(db, tenant.id, 'any')
  const versions = [await caller.blueprint('coder'), await caller.blueprint('coder', { slots: 3 })] as const
  const unstable = await caller.call('POST', '/v1/blueprints/coder/versions/stable:spawn')
  expect(unstable).toMatchObject({
    status: 409,
    body: { detail: expect.stringContaining('No version of coder is stable') },
  })
  for (const version of versions) {
    await run(db, tenant.id, version, 'any', 'passed')
    expect((await caller.call('POST', `/v1/blueprints/coder/versions/${version.version}:promote`)).status).toBe(200)
  }
  const stable = async () => await caller.call<Blueprint>('GET', '/v1/blueprints/coder/versions/stable')
  expect((await stable()).body).toMatchObject({ version: 2, aliases: ['candidate', 'stable'] })
  const demote = async () =>
    await caller.call<Promotion>('POST', '/v1/blueprints/coder:demote', { reason: 'worse in production' })
  expect((await demote()).body).toMatchObject({ kind: 'demoted', version: 2, stable: 1, reason: 'worse in production' })
  expect((await stable()).body.version).toBe(1)
  const last = await demote()
  expect(last.body).toMatchObject({ kind: 'demoted', version: 1 })
  expect(last.body.stable).toBeUndefined()
  expect((await stable()).status).toBe(404)
  expect((await demote()).status).toBe(409)
  const events = await db
    .selectFrom('agent_events')
    .select('type')
    .where('tenant_id', '=', tenant.id)
    .orderBy('seq')
    .execute()
  expect(events.map((event) => event.type).slice(2)).toEqual([
    'blueprint.promoted',
    'blueprint.promoted',
    'blueprint.demoted',
    'blueprint.demoted',
  ])

  const other = factory.caller({ tenantId: secondTenant.id })
  expect((await other.call('POST', '/v1/blueprints/coder/versions/1:promote')).status).toBe(404)
  const weak = factory.caller({ scopes: ['blueprint:write', 'instance:write', 'agent:read'] })
  expect((await weak.call('POST', '/v1/blueprints/coder/versions/1:promote')).status).toBe(403)
})
