import { mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createClient } from '@hypercode/client'
import type { HyperClient } from '@hypercode/client'
import { AGENT_SCOPES, ROUTES } from '@hypercode/contracts'
import { bootstrap, migrate, openDatabase } from '@hypercode/db'
import { APP_ROLE, dataHome, startStack } from '@hypercode/local-stack'
import type { Stack } from '@hypercode/local-stack'
import { freePort, randomSecret, spawnService } from '@hypercode/testkit/tools'
import type { ServiceProcess } from '@hypercode/testkit/tools'
import { allOrNothing } from './all-or-nothing.ts'
import type { Undo } from './all-or-nothing.ts'
import { factoryEnv } from './factory-env.ts'
import { gymEnv } from './gym-env.ts'

const ROOT = path.resolve(import.meta.dirname, '../../..')

export interface PlatformOptions {
  /** Processes of each service; one when not given. All gateways talk to the first registry and orchestrator that live. */
  orchestrators?: number
  /** Processes of the factory, which share their folder; one when not given. */
  factories?: number
  /** Processes of the gym, which share their runs; one when not given. */
  gyms?: number
  /** True: Postgres waits for the disk, as in production. Default false. */
  durable?: boolean
  /** PgBouncer's connections to Postgres. Default 20. */
  poolSize?: number
  /** For every service, over the defaults. */
  env?: Readonly<Record<string, string>>
}

export interface ClientKey {
  readonly clientId: string
  readonly clientSecret: string
}

/** A whole platform of built services as processes, on servers of its own. */
export interface Platform {
  readonly stack: Stack
  readonly gateway: ServiceProcess
  readonly registry: ServiceProcess
  readonly orchestrators: readonly ServiceProcess[]
  /** The first of the factories, which the gateway talks to. */
  readonly factory: ServiceProcess
  readonly factories: readonly ServiceProcess[]
  readonly gyms: readonly ServiceProcess[]
  /** Of the gateway. */
  readonly url: string
  /** May do everything. */
  readonly client: HyperClient
  readonly bootstrapKey: ClientKey
  /** A client for any number of agents, each with an instance name of its own. */
  agentKey(): Promise<ClientKey>
  stop(): Promise<void>
}

const BOOTSTRAP_ID = '00000000-0000-7000-8000-000000000001'

/** Starts servers and services and waits until they are ready; nothing is left running when it throws. */
export const startPlatform = async (options: PlatformOptions = {}): Promise<Platform> =>
  await allOrNothing(async (undo, stop) => await start(options, undo, stop))

async function start(options: PlatformOptions, undo: Undo, stop: () => Promise<void>): Promise<Platform> {
  const runtimeDir = path.join(dataHome(ROOT).dir, 'runtime')
  const stack = await startStack({
    dir: mkdtempSync(path.join(tmpdir(), 'hypercode-platform-')),
    runtimeDir,
    durable: options.durable ?? false,
    poolSize: options.poolSize ?? 20,
    ephemeral: true,
  })
  undo.push(async () => stack.stop())
  await migrate({ directUrl: stack.directDatabaseUrl, appRole: APP_ROLE })
  const bootstrapKey = { clientId: BOOTSTRAP_ID, clientSecret: randomSecret() }
  await makeBootstrapClient(stack.directDatabaseUrl, bootstrapKey)

  const env = {
    JWT_SECRET: randomSecret(),
    DATABASE_URL: stack.databaseUrl,
    REDIS_URL: stack.redisUrl,
    LOG_LEVEL: 'info',
    ...options.env,
  }
  const run = async (
    app: string,
    portVariable: string,
    more: Record<string, string> = {},
    port?: number,
  ): Promise<ServiceProcess> => {
    const service = await spawnService({
      entry: `apps/${app}/dist/server.js`,
      portVariable,
      env: { ...env, ...more },
      // Six services start at once, on a machine that may have other work.
      readyTimeoutMs: 60_000,
      ...(port === undefined ? {} : { port }),
    })
    undo.push(async () => service.stop())
    return service
  }
  const gatewayPort = await freePort()
  const agents = factoryEnv(ROOT, `http://127.0.0.1:${gatewayPort}`)
  const workspaces = await gymEnv(`http://127.0.0.1:${gatewayPort}`, runtimeDir)
  undo.push(async () => {
    for (const { folder } of [agents, workspaces]) await rm(folder, { recursive: true, force: true })
  })
  const [registry, orchestrators, factories, gyms] = await Promise.all([
    run('agent-registry', 'REGISTRY_PORT'),
    several(options.orchestrators ?? 1, async () => run('crew-orchestrator', 'ORCHESTRATOR_PORT')),
    several(options.factories ?? 1, async () =>
      run('agent-factory', 'FACTORY_PORT', { ...agents.env, ...options.env }),
    ),
    several(options.gyms ?? 1, async () => run('turing-gym', 'GYM_PORT', { ...workspaces.env, ...options.env })),
  ])
  const factory = factories[0] as ServiceProcess
  // Whatever a test has done to the factories: one that ends in good order leaves no agent behind.
  undo.push(async () => {
    if (!factories.some((one) => one.running)) await factory.restart()
  })
  const gateway = await run(
    'gateway',
    'GATEWAY_PORT',
    {
      REGISTRY_URL: registry.url,
      ORCHESTRATOR_URL: (orchestrators[0] as ServiceProcess).url,
      FACTORY_URL: factory.url,
      GYM_URL: (gyms[0] as ServiceProcess).url,
    },
    gatewayPort,
  )
  const client = createClient({ baseUrl: gateway.url, credentials: bootstrapKey, maxConnections: 64 })
  undo.push(async () => client.close())
  return {
    stack,
    gateway,
    registry,
    orchestrators,
    factory,
    factories,
    gyms,
    url: gateway.url,
    client,
    bootstrapKey,
    async agentKey() {
      const { body } = await client.call(ROUTES.createClient, {
        body: {
          name: `agents-${Date.now().toString(36)}-${Math.floor(Math.random() * 1e6)}`,
          scopes: [...AGENT_SCOPES],
        },
      })
      return { clientId: body.id, clientSecret: body.secret }
    },
    stop,
  }
}

const several = async (count: number, start: () => Promise<ServiceProcess>): Promise<ServiceProcess[]> =>
  await Promise.all(Array.from({ length: count }, start))

async function makeBootstrapClient(directUrl: string, key: ClientKey): Promise<void> {
  const handle = openDatabase({
    url: directUrl,
    poolMax: 1,
    applicationName: 'e2e-setup',
    onIdleError: () => undefined,
  })
  try {
    await bootstrap(handle.db, { id: key.clientId, secret: key.clientSecret })
  } finally {
    await handle.close()
  }
}
