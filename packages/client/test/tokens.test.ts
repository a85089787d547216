import { ROUTES } from '@hypercode/contracts'
import { describe, expect, test } from 'vitest'
import { json, problem, scripted, tokens } from './scripted-server.ts'
import type { Act } from './scripted-server.ts'

const credentials = { clientId: 'client-1', clientSecret: 'secret-1', scope: 'agent:read', instance: 'one' }
const withCredentials = { token: undefined, credentials }

/** Answers the token route with `issue`, everything else with `serve`. */
const platform =
  (issue: Act, serve: Act): Act =>
  (response, request, body) =>
    request.url === '/v1/auth/token' ? issue(response, request, body) : serve(response, request, body)

const list = json({ items: [] })
const issued = (urls: readonly { url: string }[]): number => urls.filter(({ url }) => url === '/v1/auth/token').length

describe('credentials', () => {
  test('get a token at first use, and one for all calls', async () => {
    const { client, seen } = await scripted([platform(tokens(), list)], withCredentials)
    expect(seen).toEqual([])
    await Promise.all(Array.from({ length: 20 }, () => client.call(ROUTES.listAgents)))
    await client.call(ROUTES.listAgents)
    expect(issued(seen)).toBe(1)
    expect(JSON.parse(seen[0]?.body ?? '')).toEqual({
      grant_type: 'client_credentials',
      client_id: 'client-1',
      client_secret: 'secret-1',
      scope: 'agent:read',
      instance: 'one',
    })
    expect(new Set(seen.slice(1).map(({ headers }) => headers.authorization))).toEqual(new Set(['Bearer token-1']))
  })

  test('get a new token before the old one expires', async () => {
    // A life of one second is renewed when 200 ms of it are left.
    const { client, seen } = await scripted([platform(tokens(1), list)], withCredentials)
    await client.call(ROUTES.listAgents)
    await client.call(ROUTES.listAgents)
    expect(issued(seen)).toBe(1)
    await expect
      .poll(async () => ((await client.call(ROUTES.listAgents)) && issued(seen)) || 0, { timeout: 3000 })
      .toBe(2)
    const calls = seen.filter(({ url }) => url !== '/v1/auth/token')
    const switched = calls.find(({ headers }) => headers.authorization === 'Bearer token-2')
    expect((switched?.at ?? 0) - (seen[0]?.at ?? 0)).toBeLessThan(1000)
  })

  test('keep the old token while a new one cannot be had', async () => {
    const issue = tokens(2)
    let count = 0
    const { client, seen } = await scripted(
      [platform((...all) => (++count === 1 ? issue(...all) : problem(500, 'internal')(...all)), list)],
      { ...withCredentials, retry: { maxRetries: 0 } },
    )
    await client.call(ROUTES.listAgents)
    await expect
      .poll(async () => ((await client.call(ROUTES.listAgents)) && issued(seen)) || 0, { timeout: 3000 })
      .toBeGreaterThan(1)
    expect(seen.filter(({ headers }) => headers.authorization === 'Bearer token-1').length).toBeGreaterThan(1)
  })

  test('get a new token once when the old one is refused', async () => {
    const refuse: Act = (response, request, body) =>
      (request.headers.authorization === 'Bearer token-1' ? problem(401, 'token_invalid') : list)(
        response,
        request,
        body,
      )
    const { client, seen } = await scripted([platform(tokens(), refuse)], withCredentials)
    const answers = await Promise.all(Array.from({ length: 10 }, () => client.call(ROUTES.listAgents)))
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 10 }, () => 200))
    expect(issued(seen)).toBe(2)
  })

  test('give up when the new token is refused too', async () => {
    const { client, seen } = await scripted([platform(tokens(), problem(401, 'token_invalid'))], withCredentials)
    await expect(client.call(ROUTES.listAgents)).rejects.toMatchObject({ status: 401, code: 'token_invalid' })
    expect(seen.map(({ url }) => url)).toEqual(['/v1/auth/token', '/v1/agents', '/v1/auth/token', '/v1/agents'])
  })

  test('that are wrong fail at once, and the next call tries again', async () => {
    const { client, seen } = await scripted([problem(401, 'client_invalid')], withCredentials)
    await expect(client.call(ROUTES.listAgents)).rejects.toMatchObject({ code: 'client_invalid' })
    await expect(client.call(ROUTES.listAgents)).rejects.toMatchObject({ code: 'client_invalid' })
    expect(seen.map(({ url }) => url)).toEqual(['/v1/auth/token', '/v1/auth/token'])
  })

  test('are shown to the token route alone', async () => {
    const { client, seen } = await scripted([platform(tokens(), list)], withCredentials)
    await client.call(ROUTES.listAgents)
    await client.call(ROUTES.getJwks)
    expect(JSON.stringify(seen.slice(1))).not.toContain('secret-1')
  })

  test('wait for a token route that is busy', async () => {
    const { client } = await scripted(
      [problem(503, 'unavailable'), problem(429, 'rate_limited'), tokens(), list],
      withCredentials,
    )
    expect((await client.call(ROUTES.listAgents)).status).toBe(200)
  })
})

describe('a given token', () => {
  test('is asked for at every call when it is a function, and again when it is refused', async () => {
    let asked = 0
    const refuse: Act = (response, request, body) =>
      (request.headers.authorization === 'Bearer given-1' ? problem(401, 'token_invalid') : list)(
        response,
        request,
        body,
      )
    const { client } = await scripted([refuse], { token: async () => `given-${++asked}` })
    expect((await client.call(ROUTES.listAgents)).status).toBe(200)
    expect(asked).toBe(2)
  })

  test('is not tried again when it is a text', async () => {
    const { client, seen } = await scripted([problem(401, 'token_invalid')], { token: 'fixed' })
    await expect(client.call(ROUTES.listAgents)).rejects.toMatchObject({ status: 401 })
    expect(seen).toHaveLength(1)
  })
})
