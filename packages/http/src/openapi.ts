import { STATUS_CODES } from 'node:http'
import { Problem, SCOPES } from '@hypercode/contracts'
import type { Route } from '@hypercode/contracts'
import { TypeGuard } from '@sinclair/typebox'
import type { TSchema } from '@sinclair/typebox'

export interface OpenapiInfo {
  readonly title: string
  readonly version: string
  readonly description?: string
  /** Base URLs of the API, the serving host when absent. */
  readonly servers?: readonly string[]
}

type JsonObject = Record<string, unknown>

/**
 * One OpenAPI 3.1 document for these routes of the catalogue, whoever serves them. Schemas with an `$id` become components, and every
 * operation lists its scopes twice: as OAuth 2 security and as `x-scopes` for people.
 */
export function openapiDocument(routes: readonly Route[], info: OpenapiInfo): JsonObject {
  const schemas: JsonObject = {}
  const paths: Record<string, JsonObject> = {}
  const ref = referrer(schemas)
  const problem = { description: 'An error', content: { 'application/problem+json': { schema: ref(Problem) } } }
  for (const route of routes) {
    const operation = operationOf(route, ref)
    paths[route.path] = { ...paths[route.path], [route.method.toLowerCase()]: operation }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: info.title,
      version: info.version,
      ...(info.description !== undefined && { description: info.description }),
    },
    ...(info.servers !== undefined && { servers: info.servers.map((url) => ({ url })) }),
    tags: [...new Set(routes.map(({ tag }) => tag))].map((name) => ({ name })),
    paths,
    components: { schemas, responses: { Problem: problem }, securitySchemes: SECURITY },
  }
}

const SECURITY = {
  oauth2: {
    type: 'oauth2',
    flows: {
      clientCredentials: {
        tokenUrl: '/v1/auth/token',
        scopes: Object.fromEntries(SCOPES.map((scope) => [scope, scope])),
      },
    },
  },
  bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
}

type Ref = (schema: TSchema) => unknown

function operationOf(route: Route, ref: Ref): JsonObject {
  const secured = route.access !== 'public'
  const parameters = [
    ...parametersOf('path', route.params, ref),
    ...parametersOf('query', route.query, ref),
    ...parametersOf('header', route.headers, ref),
  ]
  const body = requestBodyOf(route, ref)
  return {
    operationId: route.operationId,
    summary: route.summary,
    tags: [route.tag],
    ...(parameters.length > 0 && { parameters }),
    ...(body !== undefined && { requestBody: body }),
    responses: {
      ...Object.fromEntries(
        Object.entries(route.answers).map(([status, schema]) => [status, answerOf(route, status, schema, ref)]),
      ),
      ...(secured && { '401': PROBLEM, '403': PROBLEM }),
      '4XX': PROBLEM,
      '5XX': PROBLEM,
    },
    security: route.access === 'public' ? [] : [{ oauth2: [...route.access] }, { bearer: [...route.access] }],
    ...(route.access !== 'public' && { 'x-scopes': [...route.access] }),
  }
}

const PROBLEM = { $ref: '#/components/responses/Problem' }

function parametersOf(place: 'path' | 'query' | 'header', schema: Route['params'], ref: Ref): JsonObject[] {
  return Object.entries(schema?.properties ?? {}).map(([name, property]) => {
    const { description } = property
    return {
      name,
      in: place,
      required: place === 'path' || !TypeGuard.IsOptional(property),
      ...(description !== undefined && { description }),
      schema: ref(property),
    }
  })
}

function requestBodyOf(route: Route, ref: Ref): JsonObject | undefined {
  if (route.body === undefined && route.consumes === undefined) return undefined
  const { body } = route
  const schema = body === undefined ? {} : ref(body)
  const content = Object.fromEntries(
    (route.consumes ?? ['application/json']).map((mediaType) => [mediaType, { schema }]),
  )
  return { required: body === undefined || !TypeGuard.IsOptional(body), content }
}

function answerOf(route: Route, status: string, schema: TSchema | null, ref: Ref): JsonObject {
  const description = STATUS_CODES[status] ?? status
  if (schema !== null) return { description, content: { 'application/json': { schema: ref(schema) } } }
  if (route.produces === undefined || !status.startsWith('2')) return { description }
  return { description, content: { [route.produces]: {} } }
}

/** Makes plain JSON Schema of a TypeBox one; each part with an `$id` goes to `components` once and is referred to. */
function referrer(components: JsonObject): Ref {
  const origin = new Map<string, string>()
  const plain = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(plain)
    if (typeof value !== 'object' || value === null) return value
    const { $id, ...rest } = value as { $id?: unknown }
    if (typeof $id !== 'string') return mapped(rest)
    const text = JSON.stringify(value)
    if (origin.has($id) && origin.get($id) !== text) throw new TypeError(`two different schemas are named ${$id}`)
    if (!origin.has($id)) {
      origin.set($id, text)
      components[$id] = mapped(rest)
    }
    return { $ref: `#/components/schemas/${$id}` }
  }
  const mapped = (object: object): JsonObject =>
    Object.fromEntries(Object.entries(object).map(([key, member]) => [key, plain(member)]))
  return plain
}
