import { signTestToken, waitFor } from '@hypercode/testkit'
import { describe, expect } from 'vitest'
import { subscribe } from './support/event-source.ts'
import { askToken, call } from './support/gateway.ts'
import { test } from './support/following.ts'

describe('a stream', () => {
  test('ends with its token, by time or by revocation', async ({ startGateway, mission, tenant, client }) => {
    const gateway = await startGateway()
    const url = `${gateway.url}/v1/missions/${mission.id}/events`
    const short = await subscribe(url, {
      token: signTestToken({ tenantId: tenant.id, scopes: ['mission:read'], ttlS: 2 }),
    })
    const token = String((await askToken(gateway, client)).body['access_token'])
    const revoked = await subscribe(url, { token })
    expect([short.status, revoked.status]).toEqual([200, 200])

    await call(`${gateway.url}/v1/auth/revoke`, {
      method: 'POST',
      body: new URLSearchParams({ token, client_id: client.id, client_secret: client.secret }),
    })
    await waitFor(() => revoked.ended, { what: 'the revoked stream to end', timeoutMs: 3000 })
    await waitFor(() => short.ended, { what: 'the short stream to end', timeoutMs: 4000 })
  })

  test('beyond SSE_STREAMS_MAX is refused until one has ended', async ({ startGateway, mission, token, follow }) => {
    const gateway = await startGateway({ SSE_STREAMS_MAX: '2' })
    const path = `/v1/missions/${mission.id}/events`
    const first = await follow(gateway, path)
    await follow(gateway, '/v1/agents/watch')
    const third = await call(gateway.url + path, { token })
    expect(third.status).toBe(503)
    expect(third.headers.get('retry-after')).toBe('5')
    expect(third.body).toMatchObject({ code: 'unavailable' })

    first.close()
    const opened = await waitFor(
      async () => {
        const next = await follow(gateway, path)
        return next.status === 200 && next
      },
      { what: 'a free place' },
    )
    expect(opened.status).toBe(200)
  })

  test('ends when the service drains, so that it can go on elsewhere', async ({ startGateway, mission, follow }) => {
    const gateway = await startGateway()
    const streams = [
      await follow(gateway, `/v1/missions/${mission.id}/events`),
      await follow(gateway, '/v1/agents/watch'),
    ]
    gateway.app.beginDrain()
    await waitFor(() => streams.every(({ ended }) => ended), { what: 'the streams to end' })
    await waitFor(() => gateway.app.requestsInFlight() === 0, { what: 'nothing in flight' })
  })
})
