import { ROUTES } from '@hypercode/contracts'
import type { Route } from '@hypercode/contracts'
import { describe, expect } from 'vitest'
import { call, test } from './support/gateway.ts'

interface Operation {
  operationId: string
  'x-scopes'?: string[]
  responses: Record<string, unknown>
}

interface Document {
  openapi: string
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, unknown> }
}

describe('GET /openapi.json', () => {
  test('holds every operation of every service, with its scopes, and every reference in it leads somewhere', async ({
    startGateway,
  }) => {
    const { url } = await startGateway()
    const { status, body } = await call<Document>(`${url}/openapi.json`)
    expect(status).toBe(200)
    expect(body.openapi).toBe('3.1.0')

    for (const route of Object.values<Route>(ROUTES)) {
      const operation = body.paths[route.path]?.[route.method.toLowerCase()]
      expect(operation?.operationId, route.operationId).toBe(route.operationId)
      expect(operation?.['x-scopes'] ?? 'public', route.operationId).toEqual(route.access)
    }
    const operations = Object.values(body.paths).flatMap((path) => Object.values(path))
    expect(operations).toHaveLength(Object.keys(ROUTES).length)

    const refs = [...JSON.stringify(body).matchAll(/"\$ref":"#\/([^"]+)"/g)].map(([, ref]) => ref ?? '')
    expect(refs.length).toBeGreaterThan(50)
    for (const ref of new Set(refs)) {
      const target = ref.split('/').reduce<unknown>((at, key) => (at as Record<string, unknown>)?.[key], body)
      expect(target, ref).toBeDefined()
    }
    expect(JSON.stringify(body)).not.toContain('"$id"')
  })
})

describe('GET /docs', () => {
  test('is a page that loads everything from here, under a policy that allows nothing else', async ({
    startGateway,
  }) => {
    const { url } = await startGateway()
    const page = await call<string>(`${url}/docs`)
    expect(page.status).toBe(200)
    expect(page.headers.get('content-type')).toMatch('text/html')
    const policy = page.headers.get('content-security-policy') ?? ''
    expect(policy).toContain("default-src 'none'")
    expect(policy).toContain("script-src 'self';")
    expect(policy).not.toMatch(/https?:|unsafe-eval|script-src[^;]*unsafe-inline/)
    expect(page.headers.get('x-content-type-options')).toBe('nosniff')
    expect(page.body).not.toMatch(/<script[^>]*>[^<\s]/)

    const links = [...page.body.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, link]) => link ?? '')
    expect(links.length).toBeGreaterThan(4)
    for (const link of links) {
      expect(link).toMatch(/^(\/|\.\/)/)
      expect((await call(new URL(link, `${url}/docs`).href)).status, link).toBe(200)
    }
    const document = await call<Document>(`${url}/docs/json`)
    expect(document.body).toEqual((await call(`${url}/openapi.json`)).body)
  })

  test('knows nothing else', async ({ startGateway }) => {
    const { url } = await startGateway()
    for (const path of ['/docs/nothing', '/docs/static/../../package.json', '/docs/static/%2e%2e/package.json']) {
      const answer = await call(url + path)
      expect(answer.status, path).toBe(404)
      expect(answer.body, path).toMatchObject({ code: 'not_found' })
    }
  })
})
