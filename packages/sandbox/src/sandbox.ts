/** Runs commands that nobody trusts. `findSandbox` answers one that was seen to work. */
export interface Sandbox {
  readonly kind: 'bubblewrap'
  /**
   * Runs one command to its end. Whatever the command does, and however it ends, is in the result; nothing of it lives on.
   *
   * @throws {RangeError} when the command itself makes no sense (a workspace that is no folder, a limit of zero)
   * @throws {SandboxUnavailable} when the sandbox cannot be set up any more
   * @throws the reason of `signal`, after the whole tree of processes has ended
   */
  run(command: SandboxCommand): Promise<SandboxResult>
}

export interface SandboxCommand {
  /** The program, looked up on the PATH inside, and its arguments. Never a shell string. */
  readonly argv: readonly [string, ...string[]]
  /** The only folder that can be written to, and where the command starts. Its real path; it has the same one inside. */
  readonly workspace: string
  /** Files and folders that can be read at their own (real) paths. May lie in the workspace, to protect a part of it. */
  readonly readOnly?: readonly string[]
  /** Added to PATH, HOME and LANG, which are all that is set. Nothing of the parent's environment is passed on. */
  readonly env?: Readonly<Record<string, string>>
  readonly stdin?: string
  readonly timeoutMs: number
  /** What all processes together may hold. Default 2 GiB. */
  readonly memoryBytes?: number
  /** Processes and threads together. Default 256. */
  readonly processesMax?: number
  /** The largest file that can be written. Default 256 MiB. */
  readonly fileBytesMax?: number
  /** How much of each of stdout and stderr is kept. The rest is read and dropped. Default 1 MiB. */
  readonly outputMaxBytes?: number
  /** Aborted: the whole tree of processes is killed. */
  readonly signal?: AbortSignal
}

export interface SandboxResult {
  /** Null when a signal ended the command. Programs that could not be found or run are 127 and 126, as in a shell. */
  readonly exitCode: number | null
  /** `SIGKILL` also when the sandbox itself ended the command. An exit code of 128 + n counts as signal n. */
  readonly signal: string | null
  readonly stdout: string
  readonly stderr: string
  readonly timedOut: boolean
  /** Whether stdout or stderr was longer than what is here. */
  readonly truncated: boolean
  readonly durationMs: number
  /** Set when the command was ended because all of its processes together went over this limit. */
  readonly exceeded?: 'memory' | 'processes'
}
