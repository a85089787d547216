import { createHash, randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { ARTIFACT_MAX_BYTES, newId } from '@hypercode/contracts'
import { waitFor } from '@hypercode/testkit'
import { describe, expect } from 'vitest'
import { call } from './support/gateway.ts'
import type { Answer, TestGateway } from './support/gateway.ts'
import type { Seen } from './support/upstream.ts'
import { raw, test } from './support/proxied.ts'

describe('bodies', () => {
  const artifact = (gateway: TestGateway) =>
    `${gateway.url}/v1/tasks/${newId()}/artifacts/x.bin?incarnation=1&attempt=1`

  test('of eight megabytes pass unread and unchanged, in both directions', async ({ gateway, upstream, token }) => {
    const bytes = randomBytes(ARTIFACT_MAX_BYTES)
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    const sent = await call<Seen>(artifact(gateway), { method: 'PUT', token, body: bytes })
    expect(sent.body).toMatchObject({ bytes: ARTIFACT_MAX_BYTES, sha256 })
    expect(sent.body.headers).toMatchObject({ 'content-length': String(ARTIFACT_MAX_BYTES) })

    upstream.answer = (_request, reply) => reply.type('application/octet-stream').send(bytes)
    const got = await fetch(artifact(gateway), { headers: { authorization: `Bearer ${token}` } })
    const back = Buffer.from(await got.arrayBuffer())
    expect(createHash('sha256').update(back).digest('hex')).toBe(sha256)
    expect(got.headers.get('content-security-policy')).toBe("default-src 'none'; sandbox")
    expect(got.headers.get('x-content-type-options')).toBe('nosniff')
  })

  test('without a length flow through as well', async ({ gateway, token }) => {
    const parts = [randomBytes(100_000), randomBytes(100_000)]
    const body = new ReadableStream({
      pull(controller) {
        const part = parts.shift()
        if (part === undefined) controller.close()
        else controller.enqueue(part)
      },
    })
    const init = { method: 'PUT', token, body, duplex: 'half' } as RequestInit & { token: string }
    expect((await call<Seen>(artifact(gateway), init)).body.bytes).toBe(200_000)
  })

  test('above the limit are refused by their length, before a byte is read', async ({ gateway, upstream, token }) => {
    const announced = await raw(
      gateway.url,
      `PUT ${new URL(artifact(gateway)).pathname} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\ncontent-type: a/b\r\ncontent-length: ${ARTIFACT_MAX_BYTES + 1}\r\n\r\n`,
    )
    expect(announced).toMatch(/^HTTP\/1.1 413/)
    expect(announced).toContain('body_too_large')
    const json = await call(`${gateway.url}/v1/missions`, { method: 'POST', token, body: 'x'.repeat(262_145) })
    expect(json.status).toBe(413)
    expect(upstream.seen).toEqual([])
  })

  test('above the limit are refused while they stream when they do not say their length', async ({
    gateway,
    token,
  }) => {
    let sent = 0
    const body = new ReadableStream({
      pull(controller) {
        sent += 65_536
        if (sent > 4 * ARTIFACT_MAX_BYTES) controller.close()
        else controller.enqueue(new Uint8Array(65_536))
      },
    })
    const init = { method: 'PUT', token, body, duplex: 'half' } as RequestInit & { token: string }
    const outcome = await call(artifact(gateway), init).catch((error: unknown) => error)
    // The answer may be lost behind the bytes that are still on their way; then the connection is cut.
    if (!(outcome instanceof Error)) expect((outcome as Answer).body).toMatchObject({ code: 'body_too_large' })
    expect(sent).toBeLessThan(4 * ARTIFACT_MAX_BYTES)
    expect((await call(`${gateway.url}/v1/missions`, { token })).status).toBe(200)
  })

  test('of a GET are not passed on', async ({ gateway, upstream, token }) => {
    await raw(
      gateway.url,
      `GET /v1/missions HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer ${token}\r\ncontent-length: 5\r\n\r\nhello`,
    )
    expect(upstream.seen[0]).toMatchObject({ method: 'GET', bytes: 0 })
    expect(upstream.seen[0]?.headers['content-length']).toBeUndefined()
  })

  test('that break off end the request', async ({ gateway, upstream, token }) => {
    const { hostname, port } = new URL(gateway.url)
    for (const announced of [100, 200_000]) {
      const socket = connect(Number(port), hostname)
      socket.write(
        `PUT ${new URL(artifact(gateway)).pathname} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\ncontent-type: a/b\r\ncontent-length: ${announced}\r\n\r\nabc`,
      )
      await waitFor(() => gateway.app.requestsInFlight() === 1, { what: 'the request to arrive' })
      socket.destroy()
      await waitFor(() => gateway.app.requestsInFlight() === 0, { what: 'the request to end' })
    }
    expect(upstream.seen).toEqual([])
  })
})
