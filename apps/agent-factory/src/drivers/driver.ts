import type { BlueprintManifest, DriverName } from '@hypercode/contracts'

/** One start of one instance. The launch id names it for good: an instance that is started again gets another. */
export interface Launch {
  /** A UUID. */
  readonly launchId: string
  readonly instanceId: string
  readonly tenantId: string
  readonly blueprint: string
  readonly version: number
  readonly entry: BlueprintManifest['spec']['entry']
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** Variable and value. The agent gets `NAME_FILE`, the path of a file that only it can read; the value is in no environment and no argument. */
  readonly secrets: Readonly<Record<string, string>>
  /** Cores; 0.5 is half of one. */
  readonly cpu: number
  readonly memoryBytes: number
  readonly labels: Readonly<Record<string, string>>
}

/** What a driver needs to find a launch again. Plain JSON, kept in the database; the details are for people (`place`) and the driver. */
export interface Handle {
  readonly driver: DriverName
  readonly host: string
  readonly launchId: string
  readonly instanceId: string
  readonly [detail: string]: string | number
}

export interface Exit {
  readonly reason: 'exited' | 'killed' | 'out_of_memory'
  readonly exitCode?: number
  /** `SIGKILL`, `SIGTERM`, … */
  readonly signal?: string
  readonly at: Date
}

export type Status =
  | { readonly state: 'running'; readonly memoryBytes?: number }
  /** Nothing of it runs any more. How it ended is not always known. */
  | { readonly state: 'ended'; readonly exit: Exit | undefined }
  /** It cannot be asked just now, or it belongs to another host. */
  | { readonly state: 'unknown' }

/** Lines are JSON objects as text, one each; what an agent wrote as plain text is put into one. */
export interface LogPage {
  readonly lines: readonly string[]
  /** Where the next page starts. Never goes back. */
  readonly cursor: number
}

/** One way of running agents. Every method may be called again after a failure, by this process or another of the same host. */
export interface Driver {
  readonly name: DriverName
  /** The machine for `process`, the engine or the cluster for the others. */
  readonly host: string
  /**
   * Starts a launch, or finds the one that was started under its id, whatever became of it. When `signal` aborts a start
   * on its way, the launch may run: it is found by another start and by `list`.
   *
   * @throws {LaunchRefused} when it can never run as it is asked for; every other error may pass
   */
  start(launch: Launch, signal: AbortSignal): Promise<Handle>
  inspect(handle: Handle): Promise<Status>
  /** Everything of this installation that runs here. */
  list(): Promise<readonly Handle[]>
  /** SIGTERM, after `graceMs` SIGKILL for everything that is left. Resolves when it is gone. */
  stop(handle: Handle, graceMs: number): Promise<void>
  /** Resolves when it is gone. */
  kill(handle: Handle): Promise<void>
  /** At most `limit` lines from `cursor` on, from the oldest that is kept for 0. Lines are kept until `forget`, up to a bound. */
  readLogs(handle: Handle, cursor: number, limit: number): Promise<LogPage>
  /** Removes what an ended launch left behind: folder, container, pod. Refused while it runs. */
  forget(handle: Handle): Promise<void>
  /** Lets go of connections. What runs goes on running. */
  close(): Promise<void>
}

/** The launch cannot run as it is asked for, and trying again changes nothing. The message says what to do. */
export class LaunchRefused extends Error {
  override readonly name = 'LaunchRefused'
}
