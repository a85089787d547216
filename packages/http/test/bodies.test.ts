import { ROUTES } from '@hypercode/contracts'
import { implement } from '@hypercode/http'
import { describe, expect, test } from 'vitest'
import { bearer, problemOf, serve } from './service.ts'
import type { TestService } from './service.ts'
import { echoService, entered, send } from './echo.ts'

async function faultsOf(service: TestService, body: unknown): Promise<string[]> {
  const response = await send(service, JSON.stringify(body))
  expect(response.status).toBe(400)
  const problem = await problemOf(response)
  expect(problem.code).toBe('request_invalid')
  return (problem.faults ?? []).map(({ pointer, message }) => `${pointer} ${message}`)
}

// Goal: the body that reaches the handler is the body that was sent. Method: send what lenient parsers mend, expect 400.
describe('a body is judged as it was sent', () => {
  test('a good one arrives, with the defaults filled in', async () => {
    const response = await send(await echoService(), '{"title":"ok","any":{"x":[1,null]}}')
    expect(response.status).toBe(200)
    expect(await response.json()).toEqual({ title: 'ok', count: 3, any: { x: [1, null] } })
  })

  test.each([
    ['a number for a string', { title: 5 }, '/title must be a string'],
    ['a string for a number', { title: 'a', count: '5' }, '/count must be a whole number'],
    ['null for a number', { title: 'a', count: null }, '/count must be a whole number'],
    ['true for a number', { title: 'a', count: true }, '/count must be a whole number'],
    ['a fraction for a whole number', { title: 'a', count: 1.5 }, '/count must be a whole number'],
    ['a value for a list', { title: 'a', tags: 'x' }, '/tags must be a list'],
    ['a string for a boolean', { title: 'a', nested: { 'a/b': 'true' } }, '/nested/a~1b must be true or false'],
    ['an unknown property', { title: 'a', tenantId: 'x' }, '/tenantId "tenantId" is not a property that is known here'],
    [
      'an unknown property inside',
      { title: 'a', nested: { 'a/b': true, 'c~d': 1 } },
      '/nested/c~0d "c~d" is not a property that is known here',
    ],
    ['a missing property', {}, '/title is missing'],
    ['too many', { title: 'a', tags: ['1', '2', '3', '4', '5'] }, '/tags must have at most 4 elements'],
    ['one thing twice', { title: 'a', tags: ['1', '1'] }, '/tags elements 0 and 1 are the same'],
    ['too long', { title: 'x'.repeat(21) }, '/title must have at most 20 characters'],
    ['too large', { title: 'a', count: 10 }, '/count must be at most 9'],
    ['a list for an object', [], ' must be an object'],
    ['a text for an object', 'title', ' must be an object'],
  ])('%s is a fault', async (_name, body, fault) => {
    expect(await faultsOf(await echoService(), body)).toEqual([fault])
    expect(entered).toBe(0)
  })

  test('all faults are told at once', async () => {
    const faults = await faultsOf(await echoService(), { count: -1, tags: [1, 2], extra: true })
    expect(faults.toSorted()).toEqual([
      '/count must be at least 0',
      '/extra "extra" is not a property that is known here',
      '/tags/0 must be a string',
      '/tags/1 must be a string',
      '/title is missing',
    ])
  })

  test('a fault never repeats the value', async () => {
    const service = await echoService()
    const response = await send(
      service,
      JSON.stringify({ title: 'hunter2-'.repeat(9), count: 'hunter2', tags: ['hunter2', 'hunter2'] }),
    )
    expect(await response.text()).not.toContain('hunter2')
    expect(JSON.stringify(service.logs)).not.toContain('hunter2')
  })

  test('a body with very many faults costs little', async () => {
    const service = await echoService()
    const before = process.cpuUsage()
    const response = await send(service, JSON.stringify({ title: 'a', tags: Array.from({ length: 60_000 }, () => 1) }))
    const { user } = process.cpuUsage(before)
    const { faults } = await problemOf(response)
    expect(faults?.length).toBe(1)
    expect(user / 1000).toBeLessThan(1000)
  })
})

describe('a body that is no JSON', () => {
  test.each([
    ['nothing', ''],
    ['blanks', '  '],
    ['half a document', '{"title":'],
    ['two documents', '{"title":"a"}{}'],
    ['a BOM', '\uFEFF{"title":"a"}'],
    ['a comment', '{"title":"a"/* */}'],
    ['NaN', '{"title":"a","any":NaN}'],
    ['a raw line break in a string', '{"title":"a\nb"}'],
    ['bytes that are no UTF-8', Buffer.from('{"title":"\xff"}', 'latin1')],
    ['UTF-16', Buffer.from('{"title":"a"}', 'utf16le')],
  ])('%s is 400', async (_name, body) => {
    const response = await send(await echoService(), body)
    expect(response.status).toBe(400)
    expect(await problemOf(response)).toMatchObject({
      code: 'request_invalid',
      title: 'The request does not fit its schema',
    })
    expect(entered).toBe(0)
  })

  test('no body at all is told as such', async () => {
    const { url } = await echoService()
    const response = await fetch(`${url}/v1/echo`, { method: 'POST', headers: await bearer('agent:write') })
    expect(response.status).toBe(400)
    expect((await problemOf(response)).detail).toBe('The request needs a JSON body.')
  })

  test('a body over the limit is 413, with and without a length', async () => {
    const service = await echoService()
    const large = JSON.stringify({ title: 'a', any: 'x'.repeat(262_144) })
    const response = await send(service, large)
    expect(response.status).toBe(413)
    expect((await problemOf(response)).code).toBe('body_too_large')
    const headers = { ...(await bearer('agent:write')), 'content-type': 'application/json' }
    const streamed = new ReadableStream({
      start(controller) {
        controller.enqueue(Buffer.from(large))
        controller.close()
      },
    })
    const init = { method: 'POST', headers, body: streamed, duplex: 'half' } as RequestInit
    expect((await fetch(`${service.url}/v1/echo`, init)).status).toBe(413)
  })
})

describe('a route without a body', () => {
  const service = (): Promise<TestService> =>
    serve((app) =>
      implement(app, ROUTES.rotateClient, async () => ({
        id: 'x',
        name: 'x',
        scopes: [],
        createdAt: '2026-01-01T00:00:00Z',
        secret: 's',
      })),
    )
  const path = '/v1/clients/01a2028a-1f54-73d7-833d-909f9c7f4a5e:rotate'

  test('takes none, or an empty object', async () => {
    const { url } = await service()
    const headers = await bearer('token:issue')
    expect((await fetch(url + path, { method: 'POST', headers })).status).toBe(200)
    expect(
      (
        await fetch(url + path, {
          method: 'POST',
          headers: { ...headers, 'content-type': 'application/json' },
          body: '{}',
        })
      ).status,
    ).toBe(200)
  })

  test.each(['{"secret":"x"}', '[1]', '"x"', '5', 'true'])('refuses %s', async (body) => {
    const { url } = await service()
    const headers = { ...(await bearer('token:issue')), 'content-type': 'application/json' }
    const response = await fetch(url + path, { method: 'POST', headers, body })
    expect(response.status).toBe(400)
    expect((await problemOf(response)).detail).toBe('This operation takes no body.')
  })
})

test('a body that may be left out arrives as undefined', async () => {
  const seen: unknown[] = []
  const { url } = await serve((app) => {
    implement(app, ROUTES.cancelMission, async ({ body }, reply) => {
      seen.push(body)
      return reply.code(409).send({ type: 't', title: 't', status: 409, code: 'c', correlationId: 'c' })
    })
  })
  const path = `${url}/v1/missions/01a2028a-1f54-73d7-833d-909f9c7f4a5e:cancel`
  const headers = await bearer('mission:cancel')
  const json = { ...headers, 'content-type': 'application/json' }
  await fetch(path, { method: 'POST', headers })
  await fetch(path, { method: 'POST', headers: json, body: '{"reason":"no need"}' })
  expect(seen).toEqual([undefined, { reason: 'no need' }])
  expect((await fetch(path, { method: 'POST', headers: json, body: '{"reason":5}' })).status).toBe(400)
})
