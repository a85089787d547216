import { chmodSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createClient } from '@hypercode/client'
import { AGENT_SCOPES, ROUTES } from '@hypercode/contracts'
import { bootstrap, migrate, openDatabase } from '@hypercode/db'
import type { DatabaseHandle } from '@hypercode/db'
import { APP_ROLE, dataHome, startStack } from '@hypercode/local-stack'
import type { Stack } from '@hypercode/local-stack'
import { createFaultProxy, freePort, randomSecret, spawnService, waitFor } from '@hypercode/testkit/tools'
import type { FaultProxy, ServiceProcess } from '@hypercode/testkit/tools'
import { allOrNothing } from '../all-or-nothing.ts'
import type { Undo } from '../all-or-nothing.ts'
import { startBalancer } from './balancer.ts'
import { RecordingClient } from './history.ts'
import { mountSmallDisk } from './small-disk.ts'
import type { SmallDisk } from './small-disk.ts'
import { serverVictim, serviceVictim } from './victim.ts'
import type { Victim } from './victim.ts'

const ROOT = path.resolve(import.meta.dirname, '../../../..')
const OPERATOR_ID = '00000000-0000-7000-8000-000000000001'
const AGENT_PROCESSES = 10
const AGENTS_EACH = 5
const TICK_MS = 50
const AGENTS_READY_MS = 120_000

/** Two of each service, 50 agents in 10 processes, a proxy before each server and before the gateways, and a sink for effects. */
export interface Rig {
  readonly stack: Stack
  readonly proxies: Readonly<Record<'postgres' | 'pgbouncer' | 'redis' | 'gateway', FaultProxy>>
  readonly gateways: readonly ServiceProcess[]
  readonly registries: readonly ServiceProcess[]
  readonly orchestrators: readonly ServiceProcess[]
  readonly agents: readonly ServiceProcess[]
  readonly victims: readonly Victim[]
  readonly client: RecordingClient
  /** Straight to Postgres, as its owner: what a person would ask the database while a storm goes on. */
  readonly database: DatabaseHandle
  readonly files: { readonly sink: string; readonly history: string; readonly notes: string }
  /** Where the servers keep their data. */
  readonly folder: string
  /** A disk of its own for the servers' data; undefined when it cannot be had here. */
  readonly smallDisk: SmallDisk | undefined
  startAgents(name: string, skill: string): Promise<ServiceProcess>
  stop(): Promise<void>
}

interface RigOptions {
  smallDisk: boolean
  log: (line: string) => void
}

export const startStormRig = async (options: RigOptions): Promise<Rig> =>
  await allOrNothing(async (undo, stop) => await start(options, undo, stop))

async function start(options: RigOptions, undo: Undo, stop: () => Promise<void>): Promise<Rig> {
  const folder = mkdtempSync(path.join(tmpdir(), 'hypercode-storm-'))
  undo.push(async () => await rm(folder, { recursive: true, force: true }))
  chmodSync(folder, 0o755) // the servers run as somebody else
  const disk = path.join(folder, 'disk')
  const dir = path.join(disk, 'stack')
  mkdirSync(disk)
  const smallDisk = options.smallDisk ? mountSmallDisk(disk, options.log) : undefined
  mkdirSync(dir)
  undo.push(async () => smallDisk?.unmount())
  const files = {
    sink: path.join(folder, 'sink'),
    history: path.join(folder, 'history'),
    notes: path.join(folder, 'notes'),
  }
  for (const file of Object.values(files)) writeFileSync(file, '')

  const { stack, proxies } = await startServers(dir, undo)
  const operator = { clientId: OPERATOR_ID, clientSecret: randomSecret() }
  const database = openDatabase({
    url: stack.directDatabaseUrl,
    poolMax: 3,
    applicationName: 'storm',
    onIdleError: () => undefined, // the next statement says so
  })
  undo.push(async () => await database.close())
  await bootstrap(database.db, { id: operator.clientId, secret: operator.clientSecret })

  const services = await startServices({ stack, ...proxies }, undo)
  const gatewayProxy = await createFaultProxy(services.url)
  undo.push(async () => await gatewayProxy.stop())
  const url = gatewayProxy.through(services.url).replace(/\/$/, '')
  const api = createClient({ baseUrl: url, credentials: operator, maxConnections: 64, retry: { maxRetries: 0 } })
  const client = new RecordingClient(api, files.history)
  undo.push(async () => await client.close())

  const sink = await startSink(files, undo)
  const setUp = createClient({ baseUrl: url, credentials: operator })
  const { body: key } = await setUp.call(ROUTES.createClient, {
    body: { name: 'storm-agents', scopes: [...AGENT_SCOPES] },
  })
  await setUp.close()
  const startAgents = async (name: string, skill: string): Promise<ServiceProcess> => {
    const service = await spawnService({
      entry: 'packages/e2e/agents/storm-agent.ts',
      readyPath: false,
      env: {
        HYPERCODE_URL: url,
        HYPERCODE_CLIENT_ID: key.id,
        HYPERCODE_CLIENT_SECRET: key.secret,
        HYPERCODE_INSTANCE: name,
        AGENT_INSTANCES: String(AGENTS_EACH),
        AGENT_SKILL: skill,
        SINK_URL: sink.url,
      },
    })
    undo.push(async () => await service.stop(1000))
    return service
  }
  const agents: ServiceProcess[] = []
  for (let n = 0; n < AGENT_PROCESSES; n += 1) agents.push(await startAgents(`storm${n}`, 'storm.work'))
  await Promise.all(agents.map(untilRegistered))
  // Agents go first, and all at once: one after the other they would wait for each other's drains.
  undo.push(async () => await Promise.all(agents.map(async (one) => await one.stop(1000))))

  const { gateways, registries, orchestrators } = services
  const victims = [
    ...gateways.map((one, n) => serviceVictim('gateway', `gateway ${n}`, one)),
    ...registries.map((one, n) => serviceVictim('registry', `registry ${n}`, one)),
    ...orchestrators.map((one, n) => serviceVictim('orchestrator', `orchestrator ${n}`, one)),
    ...agents.map((one, n) => serviceVictim('agents', `agents ${n}`, one)),
    ...Object.values(stack.servers).map(serverVictim),
  ]
  const all = { ...proxies, gateway: gatewayProxy }
  return {
    stack,
    proxies: all,
    gateways,
    registries,
    orchestrators,
    agents,
    victims,
    client,
    database,
    files,
    folder: dir,
    smallDisk,
    startAgents,
    stop,
  }
}

async function startServers(dir: string, undo: Undo) {
  const runtimeDir = path.join(dataHome(ROOT).dir, 'runtime')
  let before: FaultProxy | undefined
  const stack = await startStack({
    dir,
    runtimeDir,
    durable: true,
    ephemeral: true,
    poolSize: 20,
    beforePostgres: async (port) => {
      before = await createFaultProxy(`tcp://127.0.0.1:${port}`)
      return before.port
    },
  })
  undo.push(async () => {
    await stack.stop()
    await before?.stop()
  })
  if (before === undefined) throw new Error('servers in containers cannot be broken here')
  await migrate({ directUrl: stack.directDatabaseUrl, appRole: APP_ROLE })
  const pgbouncer = await createFaultProxy(stack.databaseUrl)
  const redis = await createFaultProxy(stack.redisUrl)
  undo.push(async () => await Promise.all([pgbouncer.stop(), redis.stop()]))
  return { stack, proxies: { postgres: before, pgbouncer, redis } }
}

async function startServices(
  { stack, pgbouncer, redis }: { stack: Stack; pgbouncer: FaultProxy; redis: FaultProxy },
  undo: Undo,
) {
  const env = {
    JWT_SECRET: randomSecret(),
    DATABASE_URL: pgbouncer.through(stack.databaseUrl),
    REDIS_URL: redis.through(stack.redisUrl),
    LOG_LEVEL: 'warn',
    RATE_LIMIT_PER_MINUTE: '100000000',
    RATE_LIMIT_IP_PER_MINUTE: '100000000',
  }
  const pair = async (
    app: string,
    portVariable: string,
    more: Record<string, string> = {},
  ): Promise<ServiceProcess[]> =>
    await Promise.all(
      [0, 1].map(async () => {
        const service = await spawnService({
          entry: `apps/${app}/dist/server.js`,
          portVariable,
          env: { ...env, ...more },
          // Started again in the middle of a storm it cannot be ready, only there.
          readyPath: '/livez',
          readyTimeoutMs: 60_000,
        })
        undo.push(async () => await service.stop(3000))
        return service
      }),
    )
  const balance = async (services: readonly ServiceProcess[]): Promise<string> => {
    const balancer = await startBalancer(
      await freePort(),
      services.map(({ port }) => port),
    )
    undo.push(async () => await balancer.stop())
    return balancer.url
  }
  const [registries, orchestrators] = await Promise.all([
    pair('agent-registry', 'REGISTRY_PORT'),
    pair('crew-orchestrator', 'ORCHESTRATOR_PORT'),
  ])
  const gateways = await pair('gateway', 'GATEWAY_PORT', {
    REGISTRY_URL: await balance(registries),
    ORCHESTRATOR_URL: await balance(orchestrators),
  })
  await Promise.all([...registries, ...orchestrators, ...gateways].map(untilReady))
  return { registries, orchestrators, gateways, url: await balance(gateways) }
}

async function untilRegistered(agents: ServiceProcess): Promise<void> {
  try {
    await agents.waitForLine(({ msg }) => msg === 'agents are registered', 'registered', AGENTS_READY_MS)
  } catch (error) {
    const lines = agents.lines.slice(-5).map((line) => JSON.stringify(line))
    throw new Error(`the agents did not register; they wrote:\n${lines.join('\n')}`, { cause: error })
  }
}

const untilReady = async ({ url }: ServiceProcess): Promise<boolean> =>
  await waitFor(async () => (await fetch(`${url}/readyz`)).ok, {
    what: `${url} to be ready`,
    timeoutMs: 60_000,
    everyMs: TICK_MS,
  })

async function startSink(files: Rig['files'], undo: Undo): Promise<ServiceProcess> {
  const sink = await spawnService({
    entry: 'packages/e2e/agents/effect-sink.ts',
    portVariable: 'SINK_PORT',
    env: { SINK_FILE: files.sink, NOTES_FILE: files.notes },
  })
  undo.push(async () => await sink.stop())
  return sink
}
