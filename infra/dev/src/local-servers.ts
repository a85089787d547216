import type { Stack } from '@hypercode/local-stack'
import { startStack } from '@hypercode/local-stack'
import { COMPOSE_FILE, serverFolders } from './checkout.ts'
import type { Settings } from './settings.ts'

/** Where Postgres, PgBouncer and Redis are, and what to do about them in the end. */
export interface LocalServers {
  readonly databaseUrl: string
  readonly databaseDirectUrl: string
  readonly redisUrl: string
  /** Undefined when all of them are somebody else's. */
  readonly stack: Stack | undefined
  stop(): Promise<void>
  killNow(): void
}

export interface ServerEvents {
  log(line: string): void
  /** A server ended by itself and is started again. */
  restarting(name: string): void
  /** It is up again, as another process. */
  restarted?(): void
  /** It could not be started again. */
  failed(error: unknown): void
}

const WATCH_MS = 1_000

/** Uses the servers that the settings name, and private ones for the rest. */
export async function startLocalServers(
  settings: Settings,
  events: ServerEvents,
  signal: AbortSignal,
): Promise<LocalServers> {
  const { DATABASE_URL, DATABASE_DIRECT_URL, REDIS_URL } = settings
  if (DATABASE_URL !== undefined && DATABASE_DIRECT_URL !== undefined && REDIS_URL !== undefined) {
    const nothing = async (): Promise<void> => undefined
    return {
      databaseUrl: DATABASE_URL,
      databaseDirectUrl: DATABASE_DIRECT_URL,
      redisUrl: REDIS_URL,
      stack: undefined,
      stop: nothing,
      killNow: () => undefined,
    }
  }
  const { stackDir, runtimeDir, moved } = serverFolders()
  if (moved !== undefined) events.log(moved)
  const stack = await startStack({
    dir: stackDir,
    runtimeDir,
    composeFile: COMPOSE_FILE,
    poolSize: settings.HYPERCODE_PGBOUNCER_POOL,
    log: (line) => events.log(line),
    signal,
  })
  const watch = watchStack(stack, events)
  return {
    databaseUrl: DATABASE_URL ?? stack.databaseUrl,
    databaseDirectUrl: DATABASE_DIRECT_URL ?? stack.directDatabaseUrl,
    redisUrl: REDIS_URL ?? stack.redisUrl,
    stack,
    stop: async () => {
      await watch.stop()
      await stack.stop()
    },
    killNow: () => stack.killNow(),
  }
}

/** Starts a server of the stack again when it has ended by itself. */
function watchStack(stack: Stack, events: ServerEvents): { stop(): Promise<void> } {
  const servers = Object.values(stack.servers).filter(({ pid }) => pid !== undefined)
  let turn: Promise<void> = Promise.resolve()
  let isOver = false
  const look = async (): Promise<void> => {
    for (const server of servers) {
      if (isOver || server.alive) continue
      events.restarting(server.name)
      await server.restart()
      events.restarted?.()
    }
  }
  const timer = setInterval(() => {
    turn = turn.then(async () => {
      if (isOver) return
      try {
        await look()
      } catch (error) {
        isOver = true
        events.failed(error)
      }
    })
  }, WATCH_MS)
  return {
    stop: async () => {
      isOver = true
      clearInterval(timer)
      await turn
    },
  }
}
