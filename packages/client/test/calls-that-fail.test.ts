import { getEventListeners } from 'node:events'
import { ROUTES } from '@hypercode/contracts'
import { ApiError, ConnectionError, createClient } from '@hypercode/client'
import { describe, expect, onTestFinished, test } from 'vitest'
import { cut, json, problem, scripted, silence } from './scripted-server.ts'

describe('an error', () => {
  test('of the server carries the problem', async () => {
    const { client } = await scripted([problem(409, 'fenced', {}, 'A newer incarnation is there.')])
    const error = await client.call(ROUTES.listAgents).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(ApiError)
    expect(error).toMatchObject({
      status: 409,
      code: 'fenced',
      problem: { detail: 'A newer incarnation is there.' },
      retryAfterMs: undefined,
      message: 'GET /v1/agents answered 409: A newer incarnation is there.',
    })
  })

  test('that is no problem document has a code all the same', async () => {
    const { client } = await scripted([
      (response) => void response.writeHead(418, { 'content-type': 'text/html' }).end('<b>no</b>'),
    ])
    await expect(client.call(ROUTES.listAgents)).rejects.toMatchObject({
      name: 'ApiError',
      code: 'http_418',
      problem: undefined,
    })
  })

  test('that only claims to be one, too', async () => {
    const { client } = await scripted([
      (response) => void response.writeHead(400, { 'content-type': 'application/problem+json' }).end('{"co'),
    ])
    await expect(client.call(ROUTES.listAgents)).rejects.toMatchObject({ name: 'ApiError', code: 'http_400' })
  })

  test.each([
    ['3', 3000],
    [new Date(Date.now() + 60_000).toUTCString(), 59_000],
    ['soon', undefined],
  ])('with Retry-After %s says how long to wait', async (value, ms) => {
    const { client } = await scripted([problem(429, 'rate_limited', { 'retry-after': value })], {
      retry: { maxRetries: 0 },
    })
    const error = (await client.call(ROUTES.listAgents).catch((thrown: unknown) => thrown)) as ApiError
    if (ms === undefined) expect(error.retryAfterMs).toBeUndefined()
    else expect(Math.abs((error.retryAfterMs ?? 0) - ms)).toBeLessThan(2000)
  })

  test('of the connection says whether the request may have arrived', async () => {
    const { client } = await scripted([cut], { retry: { maxRetries: 0 } })
    await expect(client.call(ROUTES.listAgents)).rejects.toMatchObject({ name: 'ConnectionError', sent: true })
    const nobody = createClient({ baseUrl: 'http://127.0.0.1:1', token: 't', retry: { maxRetries: 0 } })
    onTestFinished(() => nobody.close())
    await expect(nobody.call(ROUTES.listAgents)).rejects.toMatchObject({ name: 'ConnectionError', sent: false })
  })

  test('is an answer that is not the JSON it claims to be', async () => {
    const { client } = await scripted([
      (response) => void response.writeHead(200, { 'content-type': 'application/json' }).end('{"a":'),
    ])
    await expect(client.call(ROUTES.listAgents)).rejects.toBeInstanceOf(ConnectionError)
  })
})

describe('giving up', () => {
  test('ends a call with the reason', async () => {
    const { client } = await scripted([silence])
    const giveUp = new AbortController()
    const call = client.call(ROUTES.listAgents, { signal: giveUp.signal })
    setTimeout(() => giveUp.abort(new Error('no longer needed')), 20)
    await expect(call).rejects.toThrow('no longer needed')
  })

  test('leaves nothing behind on a signal that was not used', async () => {
    const { client } = await scripted([problem(503, 'unavailable'), cut, json({ items: [] })])
    const { signal } = new AbortController()
    await client.call(ROUTES.listAgents, { signal })
    expect(getEventListeners(signal, 'abort')).toEqual([])
  })

  test('before the call sends nothing', async () => {
    const { client, seen } = await scripted([json({})])
    await expect(client.call(ROUTES.listAgents, { signal: AbortSignal.abort(new Error('too late')) })).rejects.toThrow(
      'too late',
    )
    expect(seen).toEqual([])
  })

  test('ends the wait before a retry at once', async () => {
    const { client, seen } = await scripted([problem(503, 'unavailable', { 'retry-after': '20' })])
    const giveUp = new AbortController()
    const call = client.call(ROUTES.listAgents, { signal: giveUp.signal })
    await expect.poll(() => seen.length).toBe(1)
    const startedAt = performance.now()
    giveUp.abort(new Error('enough'))
    await expect(call).rejects.toThrow('enough')
    // Twenty seconds is what the server has asked for.
    expect(performance.now() - startedAt).toBeLessThan(5000)
  })

  test('does not end the token that others wait for', async () => {
    const { client, seen } = await scripted(
      [
        async (response) => {
          await new Promise((resolve) => setTimeout(resolve, 80))
          response.writeHead(200, { 'content-type': 'application/json' }).end('{"access_token":"t","expires_in":900}')
        },
        json({ items: [] }),
      ],
      { token: undefined, credentials: { clientId: 'c', clientSecret: 's' } },
    )
    const impatient = client.call(ROUTES.listAgents, { signal: AbortSignal.timeout(20) })
    const patient = client.call(ROUTES.listAgents)
    await expect(impatient).rejects.toThrow('timeout')
    expect((await patient).status).toBe(200)
    expect(seen).toHaveLength(2)
  })

  test('close ends every call', async () => {
    const { client, seen } = await scripted([silence])
    const calls = [client.call(ROUTES.listAgents), client.call(ROUTES.getJwks)]
    const ends = Promise.allSettled(calls)
    await expect.poll(() => seen.length).toBe(2)
    await client.close()
    expect((await ends).map((end) => end.status === 'rejected' && String(end.reason))).toEqual(
      Array.from({ length: 2 }, () => 'Error: the client was closed'),
    )
    await expect(client.call(ROUTES.listAgents)).rejects.toThrow('the client was closed')
  })
})
