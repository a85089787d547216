import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { SCOPES, newId } from '@hypercode/contracts'
import type { BlueprintManifest, Scope, SuiteManifest } from '@hypercode/contracts'
import type { Db } from '@hypercode/db'
import { contentHash } from '@hypercode/manifest'
import { createLogger, createMetrics } from '@hypercode/telemetry'
import { signTestToken, test as base, testSecrets } from '@hypercode/testkit'
import { buildApp } from '../src/app.ts'
import type { AppOptions, GymApp } from '../src/app.ts'

/** What a call was answered with. */
export interface Answer<T> {
  readonly status: number
  readonly body: T
  readonly headers: Record<string, unknown>
}

export interface Gym extends GymApp {
  readonly folder: string
  call<T = Record<string, unknown>>(
    method: 'GET' | 'POST',
    url: string,
    body?: object | string,
    options?: { headers?: Record<string, string>; tenantId?: string; scopes?: readonly Scope[] },
  ): Promise<Answer<T>>
}

/** `test` with the gym on the test's own database. Its loops stand still: a test takes a turn when it wants one. */
export const test = base
  .extend('startGym', async ({ db, redisUrl: _, redis, keys, tenant }, { onCleanup }) => {
    const started: GymApp[] = []
    const folder = mkdtempSync(path.join(tmpdir(), 'gym-test-'))
    onCleanup(async () => {
      for (const one of started) {
        await one.app.close()
        await one.stop()
      }
      rmSync(folder, { recursive: true, force: true })
    })
    return async (options: Partial<AppOptions> = {}): Promise<Gym> => {
      const gym = await buildApp(
        {
          auth: { issuer: testSecrets.issuer, audience: testSecrets.audience, keys: { secret: testSecrets.jwtSecret } },
          // Nobody listens there.
          apiUrl: 'http://127.0.0.1:9',
          secret: 'gym-test-secret-0123456789-abcdefghij',
          engine: {
            folder,
            runsMax: 4,
            sampleTries: 2,
            sampleTimeMs: 60_000,
            readyMs: 500,
            leaseMs: 3000,
          },
          samplesMax: 100,
          pollMs: 100,
          liveMs: 100,
          ...options,
        },
        {
          db,
          redis,
          keys,
          log: createLogger({ service: 'turing-gym', level: 'silent' }),
          metrics: createMetrics('turing-gym', { processMetrics: false }),
          modules: new Map(),
        },
      )
      started.push(gym)
      return { ...gym, folder, call: callerOf(gym, tenant.id) }
    }
  })
  .extend('gym', async ({ startGym }) => await startGym())

function callerOf({ app }: GymApp, ownTenant: string): Gym['call'] {
  return async (method, url, body, { headers = {}, tenantId = ownTenant, scopes = SCOPES } = {}) => {
    const authorization = `Bearer ${signTestToken({ tenantId, scopes })}`
    const answer = await app.inject({
      method,
      url,
      headers: {
        authorization,
        ...(typeof body === 'string' && { 'content-type': 'application/yaml' }),
        ...headers,
      },
      ...(body !== undefined && { payload: body }),
    })
    const isJson = String(answer.headers['content-type']).includes('json')
    return {
      status: answer.statusCode,
      body: (isJson ? answer.json() : answer.body) as never,
      headers: answer.headers,
    }
  }
}

export function suiteOf(name = 'arithmetic', more: Partial<SuiteManifest['spec']> = {}): SuiteManifest {
  return {
    apiVersion: 'hypercode/v1',
    kind: 'Suite',
    metadata: { name },
    spec: {
      skill: 'math.add',
      gate: { kind: 'thresholds', passRate: 1 },
      scenarios: [
        { id: 'small', input: { a: 1, b: 2 }, scorers: [{ kind: 'equals', at: 'sum', value: 3 }] },
        { id: 'large', input: { a: 40, b: 2 }, repetitions: 2, scorers: [{ kind: 'equals', at: 'sum', value: 42 }] },
      ],
      ...more,
    },
  }
}

export function blueprintOf(name = 'adder', more: Partial<BlueprintManifest['spec']> = {}): BlueprintManifest {
  return {
    apiVersion: 'hypercode/v1',
    kind: 'Blueprint',
    metadata: { name },
    spec: {
      entry: { path: '/opt/adder.js' },
      skills: ['math.add'],
      slots: 2,
      resources: { cpu: 1, memory: '128Mi' },
      ...more,
    },
  }
}

/** A blueprint version as the factory would have stored it, and `candidate` pointing at it. */
export async function storeBlueprint(
  db: Db,
  tenantId: string,
  manifest: BlueprintManifest,
  version = 1,
): Promise<{ hash: string }> {
  const hash = contentHash(manifest)
  const { name } = manifest.metadata
  await db
    .insertInto('blueprints')
    .values({
      id: newId(),
      tenant_id: tenantId,
      name,
      version,
      hash,
      manifest: JSON.stringify(manifest),
      created_by: 'test',
    })
    .execute()
  await db
    .insertInto('blueprint_aliases')
    .values({ tenant_id: tenantId, name, alias: 'candidate', version })
    .onConflict((oc) => oc.columns(['tenant_id', 'name', 'alias']).doUpdateSet({ version }))
    .execute()
  return { hash }
}
