import type { ClaimedTask, Crew, CrewValidation, Mission, Problem } from '@hypercode/contracts'
import { describe, expect } from 'vitest'
import { stringify } from 'yaml'
import { crewOf, stillTest as test } from '../harness.ts'
import type { Caller } from '../harness.ts'
import { expectInvariants } from '../invariants.ts'

const YAML = { 'content-type': 'application/yaml' }
const store = async (caller: Caller, manifest: object | string, headers: Record<string, string> = {}) =>
  await caller.call<Crew & Problem>('POST', '/v1/crews', manifest, headers)

describe('storing a crew', () => {
  test('gives versions 1, 2, 3; what is unchanged keeps the version that it has', async ({ stage }) => {
    const one = crewOf('team', [{ id: 'a' }])
    const two = crewOf('team', [{ id: 'a' }, { id: 'b' }])
    const first = await store(stage.operator, one)
    expect(first).toMatchObject({
      status: 201,
      body: { name: 'team', version: 1, manifest: one },
      headers: { location: '/v1/crews/team/versions/1' },
    })
    expect(await store(stage.operator, one)).toMatchObject({ status: 200, body: first.body })
    // The same in other words: YAML, another order of keys, comments.
    const yaml = `# again\n${stringify(Object.fromEntries(Object.entries(one).toReversed()))}`
    expect(await store(stage.operator, yaml, YAML)).toMatchObject({ status: 200, body: { version: 1 } })
    expect(await store(stage.operator, two)).toMatchObject({ status: 201, body: { version: 2 } })
    expect(await store(stage.operator, one)).toMatchObject({ status: 201, body: { version: 3 } })
    const read = async (version: string) =>
      (await stage.operator.call<Crew>('GET', `/v1/crews/team/versions/${version}`)).body
    expect(await read('1')).toEqual(first.body)
    expect((await read('2')).manifest).toEqual(two)
    expect((await read('latest')).version).toBe(3)
    const audit = await stage.db.selectFrom('audit').select('detail').where('action', '=', 'crew.created').execute()
    expect(audit).toHaveLength(3)
  })

  test('by twenty at once makes one version of equal ones, and dense versions of different ones', async ({
    stage,
    replica,
  }) => {
    const same = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        store((index % 2 === 0 ? stage : replica).operator, crewOf('same', [{ id: 'a' }])),
      ),
    )
    expect(same.filter((answer) => answer.status === 201)).toHaveLength(1)
    expect(new Set(same.map((answer) => answer.body.id)).size).toBe(1)
    const different = await Promise.all(
      Array.from({ length: 10 }, (_, index) => store(stage.operator, crewOf('other', [{ id: `t${index}` }]))),
    )
    expect(different.map((answer) => answer.body.version).sort((a, b) => a - b)).toEqual([
      1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
    ])
  })

  test('changes nothing of the missions that have begun, also what they plan only later', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const version = (input: string): object =>
      crewOf('team', [
        { id: 'a' },
        { id: 'b', dependsOn: ['a'], input: `${input} ${'${tasks.a.output[0]}'}` },
        { id: 'c', dependsOn: ['a'], forEach: '${tasks.a.output}', input: `${input} ${'${item}'}` },
      ])
    const submit = async (): Promise<Mission> =>
      (await stage.operator.call<Mission>('POST', '/v1/missions', { crew: 'team' })).body
    await store(stage.operator, version('old'))
    const mission = await submit()
    const [first] = (await agent.claim()) as [ClaimedTask]
    await store(stage.operator, crewOf('team', [{ id: 'other', input: 'new' }]))
    await agent.complete(first, ['x', 'y'])
    const rest = await agent.claim()
    expect(rest.map((task) => String(task.input)).toSorted()).toEqual(['old x', 'old x', 'old y'])
    for (const task of rest) await agent.complete(task)
    expect(await stage.mission(mission.id)).toMatchObject({ state: 'completed', crewVersion: 1 })
    expect(await submit()).toMatchObject({ crewVersion: 2, tasks: { total: 1 } })
    await expectInvariants(stage.db)
  })

  test('with faults is refused with all of them at once, each with its place', async ({ stage }) => {
    const text =
      'apiVersion: hypercode/v1\nkind: Crew\nmetadata: { name: x }\nspec:\n  members: []\n  tasks: [{ id: A, member: m }]\n'
    const { status, body } = await store(stage.operator, text, YAML)
    expect([status, body.code]).toEqual([422, 'manifest_invalid'])
    expect(body.faults?.map(({ pointer, line, column }) => [pointer, line, column])).toEqual([
      ['/spec/members', 5, 12],
      ['/spec/tasks/0/id', 6, 17],
    ])
    expect((await stage.operator.call('GET', '/v1/crews')).body).toEqual({ items: [] })
  })

  test('takes JSON and YAML and nothing else, at most what a body may hold', async ({ stage }) => {
    expect(
      (await store(stage.operator, stringify(crewOf('y', [{ id: 'a' }])), { 'content-type': 'text/yaml' })).status,
    ).toBe(201)
    expect(await store(stage.operator, 'a: 1', { 'content-type': 'text/plain' })).toMatchObject({ status: 415 })
    expect(await store(stage.operator, `x: ${'y'.repeat(300_000)}`, YAML)).toMatchObject({ status: 413 })
    expect(await store(stage.operator, '', YAML)).toMatchObject({ status: 422 })
  })

  test('that no parser or table can take gets an answer of ours', async ({ stage }) => {
    const texts = {
      'a NUL': 'x: "\\0"',
      'half a character': '{"x": "\\ud800"}',
      'endless nesting': '['.repeat(200_000),
      'a circle': '&a { x: *a }',
      'bytes that are no text': Buffer.from([0xff, 0xfe, 0x00]),
    }
    for (const [name, text] of Object.entries(texts)) {
      const { status } = await stage.operator.call('POST', '/v1/crews', text, YAML)
      expect([name, status]).toEqual([name, name === 'bytes that are no text' ? 400 : 422])
    }
  })
})

describe('checking a crew', () => {
  const validate = async (caller: Caller, manifest: object | string): Promise<CrewValidation> => {
    const answer = await caller.call<CrewValidation>(
      'POST',
      '/v1/crews:validate',
      manifest,
      typeof manifest === 'string' ? YAML : {},
    )
    expect(answer.status).toBe(200)
    return answer.body
  }

  test('tells the order of a good one, wave by wave, and stores nothing', async ({ stage }) => {
    const crew = crewOf('x', [
      { id: 'd', dependsOn: ['b', 'c'] },
      { id: 'b', dependsOn: ['a'] },
      { id: 'c', dependsOn: ['a'] },
      { id: 'a' },
    ])
    expect(await validate(stage.operator, crew)).toEqual({ valid: true, faults: [], order: [['a'], ['b', 'c'], ['d']] })
    expect((await stage.operator.call('GET', '/v1/crews')).body).toEqual({ items: [] })
  })

  test('tells the faults of a bad one', async ({ stage }) => {
    const { valid, faults, order } = await validate(stage.operator, crewOf('x', [{ id: 'a', dependsOn: ['a'] }]))
    expect([valid, order]).toEqual([false, undefined])
    expect(faults).toMatchObject([
      { pointer: '/spec/tasks/0/dependsOn', message: 'the tasks wait for each other: a → a', line: 1 },
    ])
  })
})

describe('reading crews', () => {
  test('lists the latest version of each by name, page by page, of the own tenant', async ({
    stage,
    tenant,
    secondTenant,
  }) => {
    const writer = await stage.as(tenant)
    for (const name of ['delta', 'alpha', 'charlie', 'bravo', 'alpha'])
      await store(writer, crewOf(name, [{ id: `t${Math.random().toString(36).slice(2)}` }]))
    const names: string[] = []
    let cursor = ''
    for (let pages = 0; pages < 3; pages += 1) {
      const { body } = await writer.call<{ items: Crew[]; nextCursor?: string }>('GET', `/v1/crews?limit=2${cursor}`)
      names.push(...body.items.map((crew) => `${crew.name} ${crew.version}`))
      if (body.nextCursor === undefined) break
      cursor = `&cursor=${body.nextCursor}`
    }
    expect(names).toEqual(['alpha 2', 'bravo 1', 'charlie 1', 'delta 1'])
    const stranger = await stage.as(secondTenant)
    expect((await stranger.call('GET', '/v1/crews')).body).toEqual({ items: [] })
    expect((await stranger.call('GET', '/v1/crews/alpha/versions/latest')).status).toBe(404)
    expect((await store(stranger, crewOf('alpha', [{ id: 'mine' }]))).body.version).toBe(1)
  })

  test('knows no version 0, no version 99 and no version "newest"', async ({ stage }) => {
    await store(stage.operator, crewOf('team', [{ id: 'a' }]))
    const read = async (path: string): Promise<number> => (await stage.operator.call('GET', `/v1/crews/${path}`)).status
    expect(await read('team/versions/99')).toBe(404)
    expect(await read('nobody/versions/latest')).toBe(404)
    expect(await read('team/versions/0')).toBe(400)
    expect(await read('team/versions/newest')).toBe(400)
    expect(await read('team/versions/9999999999')).toBe(400)
  })

  test('needs the scopes that the catalogue names', async ({ stage, tenant }) => {
    const reader = await stage.as(tenant, ['mission:read'])
    expect(await store(reader, crewOf('team', [{ id: 'a' }]))).toMatchObject({
      status: 403,
      body: { code: 'insufficient_scope' },
    })
    expect((await reader.call('GET', '/v1/crews')).status).toBe(200)
    expect((await stage.orchestrator.app.inject('/v1/crews')).statusCode).toBe(401)
  })
})
