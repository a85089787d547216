import { ROUTES, SCOPES } from '@hypercode/contracts'
import type { Route } from '@hypercode/contracts'
import { implement, openapiDocument } from '@hypercode/http'
import type { SpecData } from '@seriousme/openapi-schema-validator'
import { Validator } from '@seriousme/openapi-schema-validator'
import { expect, test } from 'vitest'
import { serve } from './service.ts'

interface Operation {
  operationId: string
  parameters?: { name: string; in: string; required: boolean }[]
  requestBody?: { required: boolean; content: Record<string, unknown> }
  responses: Record<string, { $ref?: string; content?: Record<string, unknown> }>
  security: Record<string, string[]>[]
  'x-scopes'?: string[]
}
interface Document {
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, unknown> }
}

const routes: readonly Route[] = Object.values(ROUTES)
const whole = openapiDocument(routes, { title: 'HyperCode', version: '1.0.0', servers: ['https://hypercode.test'] })

async function expectValid(document: unknown): Promise<void> {
  const result = await new Validator().validate(structuredClone(document) as SpecData)
  expect(result.errors ?? []).toEqual([])
  expect(result.valid).toBe(true)
}

test('the whole catalogue is one valid OpenAPI 3.1 document', async () => {
  await expectValid(whole)
})

test('a document that is not valid is told from one that is', async () => {
  const { valid } = await new Validator().validate({
    ...structuredClone(whole),
    paths: { '/x': { get: { responses: 5 } } },
  })
  expect(valid).toBe(false)
})

test('every route is in it, with its scopes, parameters, bodies and answers', () => {
  const { paths } = whole as unknown as Document
  for (const route of routes) {
    const operation = paths[route.path]?.[route.method.toLowerCase()]
    expect(operation?.operationId).toBe(route.operationId)
    if (operation === undefined) continue
    const scopes = route.access === 'public' ? [] : [...route.access]
    expect(operation.security.flatMap((way) => Object.values(way).flat()).toSorted()).toEqual(
      [...scopes, ...scopes].toSorted(),
    )
    expect(operation['x-scopes'] ?? []).toEqual(scopes)
    const inPath = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
    expect(operation.parameters?.filter((each) => each.in === 'path').map(({ name }) => name) ?? []).toEqual(inPath)
    expect(operation.requestBody !== undefined).toBe(route.body !== undefined || route.consumes !== undefined)
    expect(Object.keys(operation.responses)).toEqual(
      expect.arrayContaining([...Object.keys(route.answers), '4XX', '5XX']),
    )
  }
})

test('every reference leads somewhere, and no $id is left', () => {
  const text = JSON.stringify(whole)
  const { schemas } = (whole as unknown as Document).components
  const names = [...text.matchAll(/#\/components\/schemas\/(\w+)/g)].map(([, name]) => name ?? '')
  expect(names.length).toBeGreaterThan(50)
  expect([...new Set(names)].filter((name) => schemas[name] === undefined)).toEqual([])
  expect(text).not.toContain('$id')
})

test('a query parameter with a default is not required', () => {
  const { paths } = whole as unknown as Document
  const limit = paths['/v1/agents']?.['get']?.parameters?.find(({ name }) => name === 'limit')
  expect(limit?.required).toBe(false)
})

test('two schemas of one name are refused', () => {
  const twisted = {
    ...ROUTES.getCrew,
    path: '/v1/other',
    answers: { 200: { ...ROUTES.getCrew.answers[200], description: 'other' } },
  }
  expect(() => openapiDocument([ROUTES.getCrew, twisted], { title: 't', version: '1' })).toThrow('named Crew')
})

test('a service describes what it implements, and no more', async () => {
  const { url } = await serve((app) => {
    implement(app, ROUTES.issueToken, () => Promise.reject(new Error('unused')))
    implement(app, ROUTES.claimTasks, async () => ({ tasks: [] }))
  })
  const document = (await (await fetch(`${url}/openapi.json`)).json()) as Document
  await expectValid(document)
  expect(Object.keys(document.paths)).toEqual(['/v1/auth/token', '/v1/claims'])
  const { requestBody, security } = document.paths['/v1/auth/token']?.['post'] ?? {}
  expect(Object.keys(requestBody?.content ?? {})).toEqual(['application/x-www-form-urlencoded', 'application/json'])
  expect(security).toEqual([])
  expect(JSON.stringify(document)).toContain(SCOPES[0])
})
