import path from 'node:path'
import type { FolderLock } from '@hypercode/local-stack'
import { createClient } from '@hypercode/client'
import { lockFolder, provideBubblewrap } from '@hypercode/local-stack'
import { buildAll } from './build.ts'
import { HYPERCODE_DIR, LOG_DIR, ROOT, serverFolders } from './checkout.ts'
import { childEnv } from './child-env.ts'
import type { ClientCredentials } from './credentials.ts'
import { writeCredentials } from './credentials.ts'
import { crew } from './fleet.ts'
import type { Crewing } from './fleet.ts'
import { choosePorts, someTaken } from './free-ports.ts'
import type { Env } from './local-env.ts'
import type { LocalServers } from './local-servers.ts'
import { startLocalServers } from './local-servers.ts'
import { ManagedProcess } from './managed-process.ts'
import { runMigrations } from './migrations.ts'
import { ownEnv } from './own-env.ts'
import type { ProcessRecords } from './process-records.ts'
import { openProcessRecords } from './process-records.ts'
import { SERVICE_APPS, folderOf, serviceEnv, urlOf, urlsOf } from './service-env.ts'
import type { ServiceApp, ServicePorts, ServiceUrls, StoreUrls } from './service-env.ts'
import type { Settings } from './settings.ts'
import { removeState, writeState } from './state-file.ts'

export interface PlatformOptions {
  readonly settings: Settings
  /** `.env` with the environment over it. */
  readonly env: Env
  /** The environment alone: what the person asked for just now. */
  readonly environment: Env
  /** Agents that the factory has to run. */
  readonly fleet: readonly Crewing[]
  /** Folder that the agents have to read. */
  readonly target: string
  /** Agents will run commands: the sandbox is fetched when there is none yet. */
  readonly needsSandbox: boolean
  readonly log: (line: string) => void
  /** Called at most once, when something that was up cannot be kept up. */
  readonly onFailure: (error: unknown) => void
  /** Aborted: the start ends as soon as it can and takes down what it has put up. */
  readonly signal: AbortSignal
}

export interface Platform {
  readonly urls: ServiceUrls
  readonly bootstrap: ClientCredentials
}

// How often the services may lose the race for their ports.
const PORT_TURNS = 3

/** Brings up servers, services and agents of this checkout, and takes them down. */
export class PlatformStarter {
  readonly #options: PlatformOptions
  readonly #stopMs: number
  /** What has to be undone, in the order in which it was done. */
  readonly #undo: (() => Promise<void> | void)[] = []
  readonly #processes: ManagedProcess[] = []
  #lock: FolderLock | undefined
  #records: ProcessRecords | undefined
  #servers: LocalServers | undefined
  #publish: () => void = () => undefined
  #stopped: Promise<void> | undefined
  #isStopping = false

  constructor(options: PlatformOptions) {
    this.#options = options
    // An agent may still tell what became of its tasks after its drain; a service needs less.
    this.#stopMs = options.settings.DRAIN_MS + 12_000
  }

  /** Nothing is left running when it throws. */
  async start(): Promise<Platform> {
    try {
      return await this.#start()
    } catch (error) {
      await this.stop()
      throw error
    }
  }

  async #start(): Promise<Platform> {
    const { settings, log } = this.#options
    await this.#takeOver()
    const servers = await this.#serversAndBuild()
    const bootstrap = { clientId: settings.BOOTSTRAP_CLIENT_ID, clientSecret: settings.BOOTSTRAP_CLIENT_SECRET }
    const stores = { DATABASE_URL: servers.databaseUrl, REDIS_URL: servers.redisUrl }
    await this.#migrate(servers)
    const ports = await this.#services(stores)
    const urls = urlsOf(ports)
    log(`ready: ${SERVICE_APPS.join(', ')}`)
    writeCredentials({ bootstrap })
    this.#undo.push(() => removeState())
    const startedAt = new Date().toISOString()
    this.#publish = () => writeState({ urls: { ...urls }, ports: this.#ports(ports), pids: this.#pids(), startedAt })
    await this.#crew(urls.gateway, bootstrap)
    this.#publish()
    return { urls, bootstrap }
  }

  async #crew(gatewayUrl: string, bootstrap: ClientCredentials): Promise<void> {
    const { fleet, signal, log } = this.#options
    const client = createClient({ baseUrl: gatewayUrl, credentials: bootstrap })
    try {
      const crewed = await Promise.all(fleet.map(async (one) => await crew(client, one, signal)))
      log(`the factory runs ${crewed.map((instances, at) => `${instances.length} ${fleet[at]?.app}`).join(', ')}`)
    } finally {
      await client.close()
    }
  }

  /** Stops everything that was started, last things first. May be called twice. */
  async stop(): Promise<void> {
    this.#isStopping = true
    await (this.#stopped ??= this.#undoAll())
  }

  async #undoAll(): Promise<void> {
    this.#lock?.mark('stopping')
    const failures: unknown[] = []
    for (const undo of this.#undo.toReversed()) {
      try {
        await undo()
      } catch (error) {
        failures.push(error) // the rest must still be stopped
      }
    }
    if (failures.length > 0) throw failures.length === 1 ? failures[0] : new AggregateError(failures, 'stopping failed')
  }

  /** Makes the checkout ours, and ends what a starter that was killed has left running. */
  async #takeOver(): Promise<void> {
    const dir = path.join(HYPERCODE_DIR, 'platform')
    const lock = await lockFolder(dir, 30_000)
    this.#lock = lock
    this.#undo.push(() => lock.release())
    this.#records = openProcessRecords(dir)
    const left = await this.#records.stopLeftovers(this.#stopMs)
    if (left.length > 0) this.#options.log(`stopped what an earlier run had left behind: ${left.join(', ')}`)
    removeState()
    lock.mark('up')
  }

  /** The servers start while the services are compiled; neither needs the other. */
  async #serversAndBuild(): Promise<LocalServers> {
    const { settings, signal, log, onFailure } = this.#options
    const events = {
      log,
      restarting: (name: string) => log(`${name} ended by itself and is started again`),
      restarted: () => this.#publish(),
      failed: (error: unknown) => this.#isStopping || onFailure(error),
    }
    const [servers, build] = await Promise.allSettled([
      startLocalServers(settings, events, signal),
      buildAll(ROOT, signal).then(() => log('compiled')),
    ])
    if (servers.status === 'fulfilled') {
      this.#servers = servers.value
      this.#undo.push(async () => await servers.value.stop())
    }
    if (servers.status === 'rejected') throw servers.reason
    if (build.status === 'rejected') throw build.reason
    signal.throwIfAborted()
    if (this.#options.needsSandbox) await provideBubblewrap(serverFolders().runtimeDir, log, signal)
    return servers.value
  }

  /** Starts the services on ports chosen at the last moment, and on others when somebody took one of them meanwhile. */
  async #services(stores: StoreUrls): Promise<ServicePorts> {
    const { settings, environment, signal, log } = this.#options
    for (let turn = 1; ; turn += 1) {
      const ports = await choosePorts(settings, environment, turn > 1)
      try {
        await Promise.all(SERVICE_APPS.map(async (app) => await this.#service(app, ports, stores)))
        return ports
      } catch (error) {
        await this.#stopProcesses()
        this.#processes.length = 0
        if (turn === PORT_TURNS || signal.aborted || !(await someTaken(ports))) throw error
        log('another process took a port of the services, which are started again on others')
      }
    }
  }

  async #service(app: ServiceApp, ports: ServicePorts, stores: StoreUrls): Promise<void> {
    const { env, target, settings, log } = this.#options
    await this.#run({
      name: app,
      cwd: folderOf(app),
      env: serviceEnv(
        app,
        env,
        ports,
        stores,
        ownEnv(app, env, { gatewayUrl: urlsOf(ports).gateway, target, modelKey: settings.OPENAI_API_KEY, log }),
      ),
      readyUrl: `${urlOf(app, ports)}/readyz`,
    })
  }

  async #run(plan: { name: string; cwd: string; env: Record<string, string>; readyUrl: string }): Promise<void> {
    const { log, onFailure, signal } = this.#options
    if (this.#records === undefined) throw new Error('the checkout has not been taken over')
    const managed = new ManagedProcess(
      { ...plan, args: ['dist/server.js'], logFile: path.join(LOG_DIR, `${plan.name}.log`), stopMs: this.#stopMs },
      this.#records,
      {
        restarting: (name, how) => log(`${name} ended (${how}) and is started again`),
        restarted: () => this.#publish(),
        failed: (error) => this.#isStopping || onFailure(error),
      },
    )
    if (this.#processes.length === 0) this.#undo.push(async () => await this.#stopProcesses())
    this.#processes.push(managed)
    await managed.start(signal)
  }

  // The factory first: it ends the agents, which hand their tasks back through the others.
  async #stopProcesses(): Promise<void> {
    const isFactory = ({ name }: ManagedProcess): boolean => name === 'agent-factory'
    const stop = async (managed: ManagedProcess): Promise<void> => await managed.stop()
    await Promise.all(this.#processes.filter(isFactory).map(stop))
    await Promise.all(this.#processes.filter((managed) => !isFactory(managed)).map(stop))
  }

  async #migrate({ databaseUrl, databaseDirectUrl }: LocalServers): Promise<void> {
    const { env, signal, log } = this.#options
    const needed = ['BOOTSTRAP_CLIENT_SECRET', 'DATABASE_URL', 'DATABASE_DIRECT_URL'] as const
    const changes = { DATABASE_URL: databaseUrl, DATABASE_DIRECT_URL: databaseDirectUrl }
    const ran = await runMigrations(childEnv(env, needed, changes), signal)
    log(ran === 0 ? 'the database is up to date' : `migrated the database (${ran} migrations)`)
  }

  #pids(): Record<string, number> {
    const own = this.#processes.map(({ name, pid }) => [name, pid] as const)
    const servers = Object.entries(this.#servers?.stack?.pids ?? {})
    const known = [...own, ...servers].filter((entry): entry is [string, number] => entry[1] !== undefined)
    return { starter: process.pid, ...Object.fromEntries(known) }
  }

  #ports(services: ServicePorts): Record<string, number> {
    return { ...services, ...this.#servers?.stack?.ports }
  }

  /**
   * Ends all processes at once, for when we must exit now. What a server's start has not told us about yet is left to the
   * next start.
   */
  killNow(): void {
    this.#isStopping = true
    for (const managed of this.#processes) managed.killNow()
    this.#servers?.killNow()
    removeState()
  }
}
