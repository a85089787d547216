import { sql } from 'kysely'
import { expect } from 'vitest'
import { test } from '@hypercode/testkit'

for (const n of [1, 2, 3, 4])
  test(`db ${n}`, async ({ db, redis, keys, tenant, secondTenant }) => {
    const r = await sql<{ u: string }>`select current_user as u`.execute(db)
    expect(r.rows[0]?.u).toBe('hypercode_app')
    await redis.set(keys.bell, 'x')
    expect(tenant.id).not.toBe(secondTenant.id)
  })
