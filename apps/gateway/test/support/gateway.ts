import { SCOPES } from '@hypercode/contracts'
import type { Scope } from '@hypercode/contracts'
import { openDatabase } from '@hypercode/db'
import { openRedis } from '@hypercode/events'
import type { ServiceApp } from '@hypercode/http'
import { createLogger, createMetrics } from '@hypercode/telemetry'
import { createTestClient, signTestToken, test as base, testSecrets } from '@hypercode/testkit'
import type { TestClient } from '@hypercode/testkit'
import { buildApp } from '../../src/app.ts'
import { readConfig } from '../../src/config.ts'

export interface TestGateway {
  readonly app: ServiceApp
  readonly url: string
  /** What it has logged, as JSON lines. */
  readonly logs: readonly string[]
  /** Ends it like a SIGTERM, without the exit. */
  close(): Promise<void>
}

export type StartGateway = (
  env?: Readonly<Record<string, string>>,
  tuning?: { answerMs?: number },
  port?: number,
) => Promise<TestGateway>

/** The gateway as `server.ts` puts it together, listening on a free port, in the process of the test. */
export const test = base
  .extend('startGateway', async ({ database, redisUrl, keys }, { onCleanup }): Promise<StartGateway> => {
    const started: TestGateway[] = []
    onCleanup(async () => void (await Promise.all(started.map(async (gateway) => await gateway.close()))))
    return async (env = {}, tuning = {}, port = 0) => {
      const config = readConfig({
        ...(env['JWT_PRIVATE_KEY'] === undefined && { JWT_SECRET: testSecrets.jwtSecret }),
        JWT_ISSUER: testSecrets.issuer,
        JWT_AUDIENCE: testSecrets.audience,
        DATABASE_URL: database.url,
        REDIS_URL: redisUrl,
        GATEWAY_PORT: '0',
        ...env,
      })
      const logs: string[] = []
      const handle = openDatabase({
        url: config.DATABASE_URL,
        poolMax: config.GATEWAY_POOL_MAX,
        applicationName: 'gateway under test',
        onIdleError: () => undefined, // tests cut connections on purpose
      })
      const redis = openRedis({ url: config.REDIS_URL, role: 'producer', onError: () => undefined })
      const app = await buildApp(config, {
        log: createLogger({
          service: 'gateway',
          level: 'info',
          destination: { write: (line) => void logs.push(line) },
        }),
        metrics: createMetrics('gateway', { processMetrics: false }),
        database: handle,
        redis,
        keys,
        ...tuning,
      })
      const url = await app.listen({ host: '127.0.0.1', port })
      let closing: Promise<void> | undefined
      const close = async (): Promise<void> => {
        await app.close()
        redis.disconnect()
        await handle.close()
      }
      const gateway = { app, url, logs, close: async () => await (closing ??= close()) }
      started.push(gateway)
      return gateway
    }
  })
  /** A client of the test's tenant with every scope. */
  .extend('client', async ({ db, tenant }): Promise<TestClient> => await createTestClient(db, tenant.id, SCOPES))
  /** A token of the test's tenant, signed by the test. */
  .extend(
    'tokenFor',
    ({ tenant }) =>
      (scopes: readonly Scope[], subject?: string) =>
        signTestToken({ tenantId: tenant.id, scopes, ...(subject !== undefined && { subject }) }),
  )

export interface Answer<T = Record<string, unknown>> {
  readonly status: number
  readonly headers: Headers
  readonly body: T
}

/** One request, with its answer read as JSON where it is JSON. */
export async function call<T = Record<string, unknown>>(
  url: string,
  options: RequestInit & { token?: string; json?: unknown } = {},
): Promise<Answer<T>> {
  const { token, json, ...init } = options
  const headers = new Headers(init.headers)
  if (token !== undefined) headers.set('authorization', `Bearer ${token}`)
  if (json !== undefined) headers.set('content-type', 'application/json')
  const response = await fetch(url, { ...init, headers, ...(json !== undefined && { body: JSON.stringify(json) }) })
  const text = await response.text()
  const isJson = text !== '' && /json/.test(response.headers.get('content-type') ?? '')
  return { status: response.status, headers: response.headers, body: (isJson ? JSON.parse(text) : text) as T }
}

/** Asks for a token as RFC 6749 has it: a form, with the credentials in it. */
export async function askToken(
  gateway: { url: string },
  client: TestClient,
  fields: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const form = { grant_type: 'client_credentials', client_id: client.id, client_secret: client.secret, ...fields }
  return await call(`${gateway.url}/v1/auth/token`, { method: 'POST', body: new URLSearchParams(form) })
}
