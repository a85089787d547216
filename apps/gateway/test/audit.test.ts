import type { AuditEntry } from '@hypercode/contracts'
import { expect } from 'vitest'
import { call, test } from './support/gateway.ts'

interface AuditPage {
  items: AuditEntry[]
  nextCursor?: string
}

test('what was changed is listed newest first, in pages, and only to the tenant that it belongs to', async ({
  startGateway,
  secondTenant,
  db,
  tokenFor,
}) => {
  const gateway = await startGateway()
  const operator = tokenFor(['token:issue', 'audit:read'], 'operator')
  const names = ['one', 'two', 'three']
  for (const name of names) {
    const json = { name, scopes: ['audit:read'] }
    expect((await call(`${gateway.url}/v1/clients`, { method: 'POST', token: operator, json })).status).toBe(201)
  }
  await db
    .insertInto('audit')
    .values({ tenant_id: secondTenant.id, actor: 'x', action: 'y', ref: null, detail: '{}' })
    .execute()

  const first = await call<AuditPage>(`${gateway.url}/v1/audit?limit=2`, { token: operator })
  expect(first.body.items.map((entry) => entry.detail['name'])).toEqual(['three', 'two'])
  expect(first.body.items[0]).toMatchObject({ actor: 'operator', action: 'client.created' })
  const rest = await call<AuditPage>(`${gateway.url}/v1/audit?limit=2&cursor=${first.body.nextCursor}`, {
    token: operator,
  })
  expect(rest.body.items.map((entry) => entry.detail['name'])).toEqual(['one'])
  expect(rest.body.nextCursor).toBeUndefined()

  const ref = first.body.items[1]?.ref ?? ''
  const one = await call<AuditPage>(`${gateway.url}/v1/audit?ref=${ref}`, { token: operator })
  expect(one.body.items.map((entry) => entry.detail['name'])).toEqual(['two'])
  expect((await call(`${gateway.url}/v1/audit?cursor=x`, { token: operator })).status).toBe(400)
})
