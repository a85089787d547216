import { newId } from '@hypercode/contracts'
import type { Agent } from '@hypercode/contracts'
import type { Database, Db } from '@hypercode/db'
import type { Insertable } from 'kysely'
import { describe, expect } from 'vitest'
import { card, eventsOf, test } from './registry.ts'
import type { Caller } from './registry.ts'

/** An instance as the factory writes it down before it starts it; answers the client that it made for it. */
async function made(
  db: Db,
  tenantId: string,
  changes: Partial<Insertable<Database['factory_instances']>> = {},
): Promise<string> {
  const clientId = newId()
  await db
    .insertInto('factory_instances')
    .values({
      id: newId(),
      tenant_id: tenantId,
      blueprint: 'coder',
      version: 3,
      hash: 'h',
      driver: 'process',
      role: 'member',
      pool: null,
      labels: '{}',
      origin: 'spawned',
      env: '{}',
      client_id: clientId,
      lifecycle: 'provisioning',
      desired: 'running',
      crashes: '[]',
      last_lines: null,
      ...changes,
    })
    .execute()
  return clientId
}

const instanceOf = async (db: Db, id: string) =>
  await db
    .selectFrom('agent_instances')
    .select(['skills', 'lifecycle', 'loop_lag_ms'])
    .where('id', '=', id)
    .executeTakeFirstOrThrow()

const twoSkills = card('coder', { skills: [{ id: 'code.edit' }, { id: 'code.review' }] })

describe('an instance that the factory made', () => {
  test('claims as its blueprint version, and only in its pool', async ({ registry, db, tenant }) => {
    const member = registry.caller({ subject: await made(db, tenant.id) })
    const pooled = registry.caller({ subject: await made(db, tenant.id, { pool: 'gym-7' }) })
    const stranger = registry.caller()
    const skillsOf = async (caller: Caller): Promise<string[]> =>
      (await instanceOf(db, (await caller.register(twoSkills)).body.instanceId)).skills
    expect(await skillsOf(member)).toEqual(['code.edit', 'code.review', 'blueprint:coder@3'])
    expect(await skillsOf(pooled)).toEqual(['code.edit@gym-7', 'code.review@gym-7', 'blueprint:coder@3'])
    expect(await skillsOf(stranger)).toEqual(['code.edit', 'code.review'])
  })

  // Goal: an agent under test cannot take production work by asking for a token with a name of its own.
  test('cannot leave its pool by another name', async ({ registry, db, tenant }) => {
    const clientId = await made(db, tenant.id, { pool: 'gym-7' })
    const { body } = await registry.caller({ subject: `${clientId}/other` }).register()
    expect((await instanceOf(db, body.instanceId)).skills).toEqual(['code.edit@gym-7', 'blueprint:coder@3'])
  })

  test('is one of its own tenant, and only while it lives', async ({ registry, db, tenant, secondTenant }) => {
    const elsewhere = await made(db, secondTenant.id, { pool: 'gym-7' })
    const ended = await made(db, tenant.id, { pool: 'gym-7', ended_at: new Date() })
    for (const subject of [elsewhere, ended, 'no-uuid', newId()]) {
      const { body } = await registry.caller({ subject }).register(card(`agent-${subject.slice(-12)}`))
      expect(await instanceOf(db, body.instanceId)).toMatchObject({ skills: ['code.edit'], lifecycle: 'ready' })
    }
  })

  test('looks like any other to people: plain skills, in lists, searches and events', async ({
    registry,
    db,
    tenant,
  }) => {
    const caller = registry.caller({ subject: await made(db, tenant.id, { pool: 'gym-7', role: 'spare' }) })
    const { body } = await caller.register(twoSkills)
    const operator = registry.caller()
    const found = await operator.call<{ items: Agent[] }>('GET', '/v1/agents?skill=code.review')
    expect(found.body.items).toMatchObject([{ id: body.id, skills: [{ id: 'code.edit' }, { id: 'code.review' }] }])
    expect((await operator.call<{ items: Agent[] }>('GET', '/v1/agents?q=gym-7')).body.items).toEqual([])
    const seen = [found.body, await caller.read(body.id), await eventsOf(db, tenant.id)]
    expect(JSON.stringify(seen)).not.toMatch(/gym-7|blueprint/)
  })
})

describe('a spare', () => {
  test('registers as warming, beats as such, and is a member when it registers as one', async ({
    registry,
    db,
    tenant,
  }) => {
    const subject = await made(db, tenant.id, { role: 'spare' })
    const caller = registry.caller({ subject })
    const { body } = await caller.register()
    expect(await instanceOf(db, body.instanceId)).toMatchObject({ lifecycle: 'warming' })
    expect((await caller.beat(body.id, { incarnation: 1, seq: 1 })).body).toMatchObject({ lifecycle: 'warming' })
    expect((await caller.read(body.id)).instances).toMatchObject([{ lifecycle: 'warming', health: 'passing' }])
    await db.updateTable('factory_instances').set({ role: 'member' }).where('client_id', '=', subject).execute()
    await caller.register()
    expect(await instanceOf(db, body.instanceId)).toMatchObject({ lifecycle: 'ready' })
  })
})

describe('the lag of the main thread', () => {
  test('is that of the latest beat, and none after a registration', async ({ registry, db }) => {
    const caller = registry.caller()
    const { body } = await caller.register()
    const lag = async (): Promise<number> => (await instanceOf(db, body.instanceId)).loop_lag_ms
    expect(await lag()).toBe(0)
    const beats = [
      [1, 12_345, 12_345],
      [2, undefined, 0],
      [3, Number.MAX_SAFE_INTEGER, 2_147_483_647],
      [2, 7, 2_147_483_647],
    ] as const
    for (const [seq, loopLagMs, expected] of beats) {
      await caller.beat(body.id, { incarnation: 1, seq, ...(loopLagMs !== undefined && { loopLagMs }) })
      expect(await lag()).toBe(expected)
    }
    await caller.register()
    expect(await lag()).toBe(0)
  })
})
