import { AGENT_SCOPES, ROUTES, SCOPES, SERVICES, routesOf } from '@hypercode/contracts'
import type { Route } from '@hypercode/contracts'
import { describe, expect, test } from 'vitest'

const routes = Object.values<Route>(ROUTES)
const parametersOf = (path: string): string[] => [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name ?? '')

const duplicates = (words: readonly string[]): string[] => words.filter((word, at) => words.indexOf(word) !== at)

describe('the catalogue', () => {
  test('names every operation once, by its own name', () => {
    expect(Object.entries<Route>(ROUTES).filter(([name, route]) => name !== route.operationId)).toEqual([])
    expect(duplicates(routes.map(({ operationId }) => operationId))).toEqual([])
  })

  test('holds every method and path once, whatever the parameters are called', () => {
    const shapes = routes.map(({ method, path }) => `${method} ${path.replace(/\{\w+\}/g, '{}')}`)
    expect(duplicates(shapes)).toEqual([])
  })

  test('gives every operation to exactly one service', () => {
    expect(SERVICES.flatMap(routesOf).length).toBe(routes.length)
    for (const service of SERVICES) expect(routesOf(service).length, service).toBeGreaterThan(0)
  })
})

for (const route of routes)
  test(`${route.operationId}: ${route.method} ${route.path}`, () => {
    expect(route.path).toMatch(/^\/[A-Za-z0-9/.{}:_-]*$/)
    expect(route.path).not.toMatch(/\/$|\/\/|\}\{/)
    expect(Object.keys(route.params?.properties ?? {}), 'the schema names the parameters of the path').toEqual(
      parametersOf(route.path),
    )
    expect(duplicates(parametersOf(route.path))).toEqual([])
    if (route.access !== 'public') {
      expect(route.access.length, 'neither public nor guarded').toBeGreaterThan(0)
      expect(route.access.filter((scope) => !SCOPES.includes(scope))).toEqual([])
      expect(duplicates(route.access)).toEqual([])
    }
    const statuses = Object.keys(route.answers).map(Number)
    expect(statuses.length).toBeGreaterThan(0)
    for (const status of statuses) expect(status >= 200 && status < 300, `${status} is no good answer`).toBe(true)
    if (statuses.includes(204)) expect(route.answers[204]).toBeNull()
    if (['GET', 'DELETE'].includes(route.method)) expect(route.body, 'no body with this method').toBeUndefined()
    if (['PUT', 'PATCH'].includes(route.method) && route.consumes === undefined) expect(route.body).toBeDefined()
    if (route.produces !== undefined) expect(new Set(Object.values(route.answers))).toEqual(new Set([null]))
    expect(route.summary).toMatch(/^[A-Z].+[^.]$/)
  })

describe('scopes', () => {
  test('each guards something; two do so outside of the catalogue', () => {
    const used = new Set(routes.flatMap(({ access }) => (access === 'public' ? [] : access)))
    expect(SCOPES.filter((scope) => !used.has(scope))).toEqual(['metrics:read'])
  })

  test('an agent can do with its own all that an agent does, and nothing that people do', () => {
    const may = ({ access }: Route): boolean =>
      access === 'public' || access.every((scope) => (AGENT_SCOPES as readonly string[]).includes(scope))
    for (const name of [
      'issueToken',
      'registerAgent',
      'heartbeatAgent',
      'claimTasks',
      'completeTasks',
      'recordStep',
      'reportProgress',
      'putArtifact',
      'getArtifact',
      'listMissionArtifacts',
      'stopInstance',
    ] as const)
      expect(may(ROUTES[name]), name).toBe(true)
    for (const name of [
      'submitMission',
      'cancelMission',
      'createCrew',
      'createClient',
      'rotateClient',
      'replayDeadLetter',
    ] as const)
      expect(may(ROUTES[name]), name).toBe(false)
  })

  test('what needs no token is little and known', () => {
    expect(routes.filter(({ access }) => access === 'public').map(({ operationId }) => operationId)).toEqual([
      'issueToken',
      'revokeToken',
      'getJwks',
    ])
  })
})
