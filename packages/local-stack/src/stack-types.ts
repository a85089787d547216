import type { ServerName } from './binaries.ts'

export interface StackOptions {
  /** Holds the data, passwords, logs and process ids. Made when it is not there. */
  readonly dir: string
  /** Where programs that are not installed are unpacked; `<dir>/runtime` when not given. */
  readonly runtimeDir?: string
  /** The compose file to fall back to; without one there is no such fallback. */
  readonly composeFile?: string
  /** False for tests: nothing waits for the disk. Default true. */
  readonly durable?: boolean
  /** PgBouncer's connections to Postgres for each database and role. Default 20. */
  readonly poolSize?: number
  /** Given the port of Postgres, answers the one that PgBouncer connects to instead: that of a proxy that makes faults. */
  readonly beforePostgres?: (port: number) => Promise<number>
  /** True: PgBouncer passes on any database name, so that tests can make their own databases. Default false. */
  readonly anyDatabase?: boolean
  /** True: the servers stop and `dir` is removed when this process ends, however it ends. Default false. */
  readonly ephemeral?: boolean
  /** How long to wait for another process that is starting or stopping in this folder. Default 30,000. */
  readonly lockWaitMs?: number
  /** Aborted: gives up what takes long. A stack that is up is not stopped by it. */
  readonly signal?: AbortSignal
  /** One line for a person. */
  readonly log?: (line: string) => void
}

/** A handle on one server, for tests that make faults. */
export interface ServerHandle {
  readonly name: ServerName
  readonly port: number
  /** Of the last start; undefined where the server is not a process of this machine. */
  readonly pid: number | undefined
  readonly alive: boolean
  /** Where the server logs; undefined where that is not a file of ours. */
  readonly logFile: string | undefined
  /** False when the server was gone already. */
  kill(signal: NodeJS.Signals): Promise<boolean>
  /** Resolves when the server has ended; false when it has not within `waitMs`. */
  waitGone(waitMs: number): Promise<boolean>
  /** Starts it again on the same port and files, and waits until it answers; stops it first when it lives. */
  restart(): Promise<void>
}

export interface Stack {
  /** Through PgBouncer, as the role of the services. */
  readonly databaseUrl: string
  /** Straight to Postgres, as the owner: for migrations. */
  readonly directDatabaseUrl: string
  readonly redisUrl: string
  /** PgBouncer's console (`SHOW POOLS`). */
  readonly pgbouncerAdminUrl: string
  readonly servers: Readonly<Record<ServerName, ServerHandle>>
  readonly ports: Readonly<Record<ServerName, number>>
  readonly pids: Readonly<Record<ServerName, number | undefined>>
  /** Servers that an earlier, killed starter had left running and that are used again. */
  readonly reattached: readonly ServerName[]
  /** Stops all three in order and gives the folder back. May be called twice. */
  stop(): Promise<void>
  /** Ends all three at once, without waiting: for a process that must exit now. */
  killNow(): void
}

/** What a kind of server (program, container) gives the stack beyond what the stack gives away. */
export interface RunningServer extends ServerHandle {
  stop(): Promise<void>
  killNow(): void
}

export interface RunningServers {
  readonly servers: Readonly<Record<ServerName, RunningServer>>
  readonly reattached: readonly ServerName[]
  /** Called when everything has stopped. */
  readonly cleanUp: () => Promise<void>
}
