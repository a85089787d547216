/** A service that gives back what reached its handlers. */
import { defineRoute } from '@hypercode/contracts'
import { implement } from '@hypercode/http'
import { Type } from '@sinclair/typebox'
import { bearer, serve } from './service.ts'
import type { TestService } from './service.ts'

const closed = { additionalProperties: false } as const

/** A route that gives back what reached its handler. */
const echo = defineRoute({
  operationId: 'echo',
  service: 'agent-registry',
  tag: 'test',
  method: 'POST',
  path: '/v1/echo',
  summary: 'Give the body back',
  access: ['agent:write'],
  body: Type.Object(
    {
      title: Type.String({ minLength: 1, maxLength: 20 }),
      count: Type.Optional(Type.Integer({ minimum: 0, maximum: 9, default: 3 })),
      tags: Type.Optional(Type.Array(Type.String(), { maxItems: 4, uniqueItems: true })),
      nested: Type.Optional(Type.Object({ 'a/b': Type.Boolean() }, closed)),
      any: Type.Optional(Type.Unknown()),
    },
    { $id: 'Echo', ...closed },
  ),
  answers: { 200: Type.Unknown() },
})

const search = defineRoute({
  operationId: 'search',
  service: 'agent-registry',
  tag: 'test',
  method: 'GET',
  path: '/v1/search/{kind}',
  summary: 'Give the parameters back',
  access: ['agent:read'],
  params: Type.Object({ kind: Type.String({ pattern: '^[a-z]+$' }) }, closed),
  query: Type.Object(
    {
      limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 500, default: 50 })),
      open: Type.Optional(Type.Boolean()),
      q: Type.Optional(Type.String()),
    },
    closed,
  ),
  headers: Type.Object({ 'x-depth': Type.Optional(Type.Integer()) }),
  answers: { 200: Type.Unknown() },
})

/** How many requests reached a handler since the service started. */
export let entered = 0

export const echoService = (): Promise<TestService> =>
  serve((app) => {
    entered = 0
    implement(app, echo, async (request) => {
      entered++
      return request.body
    })
    implement(app, search, async ({ params, query, headers }) => ({ params, query, depth: headers['x-depth'] }))
  })

export async function send(
  { url }: TestService,
  body: string | Buffer,
  contentType = 'application/json',
): Promise<Response> {
  const headers = { ...(await bearer('agent:write')), 'content-type': contentType }
  return await fetch(`${url}/v1/echo`, { method: 'POST', headers, body: body as string })
}
