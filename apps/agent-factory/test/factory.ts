import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { SCOPES } from '@hypercode/contracts'
import type { Blueprint, Instance, Scope } from '@hypercode/contracts'
import type { Db } from '@hypercode/db'
import { createLogger, createMetrics } from '@hypercode/telemetry'
import { signTestToken, test as base, testSecrets, waitFor } from '@hypercode/testkit'
import { buildApp } from '../src/app.ts'
import type { AppOptions, FactoryApp } from '../src/app.ts'
import type { Driver } from '../src/drivers/driver.ts'
import { createProcessDriver } from '../src/drivers/process/process-driver.ts'
import { runAs } from './drivers/setup.ts'
import { MUTE, manifestOf } from './manifest-of.ts'
import { createSecretsFolder } from '../src/engine/secrets-folder.ts'

export interface Answer<T = Record<string, unknown>> {
  readonly status: number
  readonly body: T
  readonly headers: Record<string, unknown>
  readonly text: string
}

export interface Caller {
  call<T = Record<string, unknown>>(
    method: 'GET' | 'POST',
    url: string,
    body?: object | string,
    headers?: Readonly<Record<string, string>>,
  ): Promise<Answer<T>>
  /** Stores a blueprint of the mute agent; the spec is merged over a small one. */
  blueprint(name: string, spec?: Record<string, unknown>): Promise<Blueprint>
  spawn(name: string, version: number | string, body?: object): Promise<Instance[]>
  instance(id: string): Promise<Instance>
  instances(query?: string): Promise<Instance[]>
  /** Waits until the instance is as wanted. */
  until(id: string, what: string, fits: (instance: Instance) => boolean, timeoutMs?: number): Promise<Instance>
}

export interface Factory extends FactoryApp {
  readonly driver: Driver
  caller(options?: { tenantId?: string; scopes?: readonly Scope[] }): Caller
}

const OPTIONS = {
  auth: { issuer: testSecrets.issuer, audience: testSecrets.audience, keys: { secret: testSecrets.jwtSecret } },
  instancesMax: 50,
  tickMs: 200,
  leaseMs: 2000,
  scaleMs: 200,
  scaleAfterMs: 200,
  orphanMs: 300,
  orphanGraceMs: 1000,
  silenceGraceMs: 1000,
  hostLostMs: 60_000,
  logLinesMax: 1000,
  logKeepMs: 86_400_000,
  logStreamsMax: 10,
  stopAgents: false,
} as const satisfies Partial<AppOptions>

/** Options of an app on one process driver. */
export function optionsWith(driver: Driver | undefined, agentUrl: string, secretsDir?: string): AppOptions {
  const secrets = createSecretsFolder(secretsDir)
  const allowsPath = (file: string): boolean => file === MUTE
  return {
    ...OPTIONS,
    limits: {
      drivers: new Set(driver === undefined ? [] : [driver.name]),
      cpuMax: 2,
      memoryMaxBytes: 1024 ** 3,
      populationMax: 10,
      envFrom: new Set(['TZ']),
      hasSecret: (name) => secrets.has(name),
      allowsPath,
    },
    secret: 'one-secret-for-all-factories-of-a-test',
    launch: { agentUrl, agentDrainMs: 500, handedOn: { TZ: 'UTC' }, allowsPath, secrets },
    keeper: { startsMax: 4, startTimeoutMs: 20_000, inspectTimeoutMs: 3000, stopGraceMs: 8000 },
  }
}

/** `test` with a folder for processes and factories on it. What needs agents that register is tested on a whole platform, in packages/e2e. */
export const test = base
  .extend('folder', async ({ task }, { onCleanup }) => {
    const folder = await mkdtemp(path.join(tmpdir(), `hypercode-factory-${task.id}-`))
    await chmod(folder, 0o755)
    onCleanup(async () => {
      const driver = driverIn(folder)
      for (const handle of await driver.list()) await driver.kill(handle)
      await rm(folder, { recursive: true, force: true })
    })
    return folder
  })
  .extend('startFactory', async ({ db, redis, keys, tenant, folder }, { onCleanup }) => {
    const started: FactoryApp[] = []
    onCleanup(async () => {
      for (const one of started) {
        await one.app.close()
        await one.stop()
      }
    })
    return async (
      agentUrl = 'http://127.0.0.1:9',
      changes: Partial<AppOptions> = {},
      { otherDb = db, driver = driverIn(folder) }: { otherDb?: Db; driver?: Driver } = {},
    ): Promise<Factory> => {
      const factory = await buildApp(
        { ...optionsWith(driver, agentUrl), ...changes },
        {
          db: otherDb,
          redis,
          keys,
          drivers: new Map([[driver.name, driver]]),
          log: createLogger({
            service: 'agent-factory',
            level: process.env['FACTORY_TEST_LOG'] === '1' ? 'info' : 'silent',
          }),
          metrics: createMetrics('agent-factory', { processMetrics: false }),
        },
      )
      started.push(factory)
      return { ...factory, driver, caller: (who = {}) => callerOf(factory, { tenantId: tenant.id, ...who }) }
    }
  })

/** The same processes are found again by every driver on the folder. */
export const driverIn = (folder: string): Driver =>
  createProcessDriver({ folder, host: 'test-host', runAs, modulesFrom: [folder] })

function callerOf(
  { app }: FactoryApp,
  { tenantId, scopes = SCOPES }: { tenantId: string; scopes?: readonly Scope[] },
): Caller {
  const authorization = `Bearer ${signTestToken({ tenantId, scopes })}`
  const call: Caller['call'] = async (method, url, body, headers = {}) => {
    const isText = typeof body === 'string'
    const answer = await app.inject({
      method,
      url,
      headers: { authorization, ...headers, ...(isText && { 'content-type': 'application/yaml' }) },
      ...(body !== undefined && { payload: body }),
    })
    const isJson = String(answer.headers['content-type']).includes('json')
    return {
      status: answer.statusCode,
      body: isJson ? answer.json() : undefined,
      headers: answer.headers,
      text: answer.body,
    } as Answer<never>
  }
  const instance: Caller['instance'] = async (id) => (await call<Instance>('GET', `/v1/instances/${id}`)).body
  return {
    call,
    instance,
    async blueprint(name, spec) {
      const { status, body, text } = await call<Blueprint>('POST', '/v1/blueprints', manifestOf(name, spec))
      if (status >= 300) throw new Error(`the blueprint was refused: ${text}`)
      return body
    },
    async spawn(name, version, body) {
      const answer = await call<{ instances: Instance[] }>(
        'POST',
        `/v1/blueprints/${name}/versions/${version}:spawn`,
        body,
      )
      if (answer.status !== 201) throw new Error(`the spawn was refused: ${answer.text}`)
      return answer.body.instances
    },
    instances: async (query = '') => (await call<{ items: Instance[] }>('GET', `/v1/instances${query}`)).body.items,
    async until(id, what, fits, timeoutMs = 15_000) {
      return await waitFor(
        async () => {
          const found = await instance(id)
          return fits(found) ? found : undefined
        },
        { what, timeoutMs },
      )
    },
  }
}

/** Process id of an instance of the process driver. */
export function pidOf({ place = '' }: Instance): number {
  const pid = /^process (\d+) on /.exec(place)?.[1]
  if (pid === undefined) throw new Error(`no process in "${place}"`)
  return Number(pid)
}
