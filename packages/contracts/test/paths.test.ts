import { ROUTES, fillPath, routerPath } from '@hypercode/contracts'
import type { Route } from '@hypercode/contracts'
import fc from 'fast-check'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const routes = Object.values<Route>(ROUTES)

let app: FastifyInstance
beforeAll(async () => {
  app = Fastify()
  for (const route of routes)
    app.route({
      method: route.method,
      url: routerPath(route.path),
      handler: async (request) => ({ operationId: route.operationId, params: request.params }),
    })
  await app.ready()
})
afterAll(async () => await app.close())

const send = async (method: Route['method'], url: string): Promise<unknown> => {
  const answer = await app.inject({ method, url })
  return answer.statusCode === 200 ? answer.json() : answer.statusCode
}

/** Fixed parts of paths; a parameter that equals one of them may rightly mean another route. */
const FIXED = new Set(routes.flatMap(({ path }) => path.split('/').filter((part) => !part.includes('{'))))

const hostile = fc.constantFrom(
  '../../etc/passwd',
  '..%2f..',
  '%2e%2e',
  '%',
  '%00',
  '\0',
  'a/b',
  '/',
  ':cancel',
  'x:cancel',
  'x::drain',
  '{id}',
  ':id',
  '*',
  '?state=x',
  'a?b#c',
  ';v=1',
  ' ',
  '...',
  '.x',
  '\\',
  '<script>',
  'é\u{1F642}',
  '\u2028',
  '0',
  'false',
  'null',
  'constructor',
  '__proto__',
)
const value = fc
  .oneof({ weight: 3, arbitrary: hostile }, fc.uuid(), fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }))
  .filter((text) => !FIXED.has(text) && text !== '.' && text !== '..')

// Goal: whatever stands in an id, the request reaches the operation that the client meant, with that id, or it is not sent at all.
// Method: fillPath makes the path, a real router with every route of the catalogue reads it.
describe('fillPath and routerPath fit together', () => {
  for (const route of routes.filter(({ path }) => path.includes('{')))
    test(`${route.method} ${route.path}`, async () => {
      const names = Object.keys(route.params?.properties ?? {})
      await fc.assert(
        fc.asyncProperty(fc.tuple(...names.map(() => value)), async (values) => {
          const params = Object.fromEntries(names.map((name, at) => [name, values[at] ?? '']))
          const url = fillPath(route.path, params)
          expect(new URL(url, 'http://h').pathname, 'a URL parser leaves it as it is').toBe(url)
          const reached = await send(route.method, url)
          // Before a verb, and where one could stand, the router takes neither a slash nor a colon: such an id reaches nothing.
          if (reached === 404)
            expect(/\}:|\{id\}$/.test(route.path) && values.some((text) => /[/:]/.test(text))).toBe(true)
          else expect(reached).toEqual({ operationId: route.operationId, params })
        }),
        { numRuns: 60 },
      )
    })

  test('fixed paths reach their operation', async () => {
    for (const route of routes.filter(({ path }) => !path.includes('{')))
      expect(await send(route.method, route.path)).toEqual({ operationId: route.operationId, params: {} })
  })

  test('a verb that does not exist reaches nothing', async () => {
    for (const url of [
      '/v1/missions/x:explode',
      '/v1/missions/x:cancel:cancel',
      '/v1/missions:explode',
      '/v1/agents/x/y:drain',
    ])
      expect(await send('POST', url), url).toBe(404)
  })

  test('a verb with another method reaches nothing: it is no part of the id', async () => {
    expect(await send('GET', '/v1/missions/x:cancel')).toBe(404)
    expect(await send('DELETE', '/v1/agents/x:drain')).toBe(404)
    expect(await send('PUT', '/v1/missions/x:forget')).toBe(404)
  })
})

describe('fillPath', () => {
  test('does not fill a gap', () => {
    expect(() => fillPath('/v1/tasks/{id}', {})).toThrow('path parameter id is missing for /v1/tasks/{id}')
  })

  // URL parsers take these segments out of a path: the request would reach another operation.
  for (const wrong of ['', '.', '..'])
    test(`refuses ${JSON.stringify(wrong)} as a whole segment`, () => {
      expect(() => fillPath('/v1/agents/{id}/instances/{instanceId}', { id: 'a', instanceId: wrong })).toThrow(
        /path parameter instanceId/,
      )
    })

  test('takes dots before a verb, and numbers', () => {
    expect(fillPath('/v1/missions/{id}:cancel', { id: '..' })).toBe('/v1/missions/..:cancel')
    expect(fillPath('/v1/x/{n}', { n: 0 })).toBe('/v1/x/0')
  })
})
