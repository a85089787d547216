import { spawn } from 'node:child_process'

export interface GitOptions {
  /** Where git runs; it never looks for a repository from there, see `Git`. */
  readonly cwd: string
  readonly gitDir?: string
  readonly workTree?: string
  readonly indexFile?: string
  /** Where programs are found. */
  readonly path: string
}

export interface GitCall {
  readonly input?: string | Buffer
  readonly signal?: AbortSignal
  /** Output beyond it ends git; default 64 MiB. */
  readonly maxBytes?: number
}

/** Git has refused, or its output was larger than allowed. */
export class GitError extends Error {
  override readonly name = 'GitError'
  /** `undefined` when it was ended by us. */
  readonly exitCode: number | undefined
  readonly stderr: string

  constructor(args: readonly string[], exitCode: number | undefined, stderr: string) {
    super(`git ${args[0] ?? ''} failed: ${stderr.trim() === '' ? `exit code ${exitCode ?? 'none'}` : stderr.trim()}`)
    this.exitCode = exitCode
    this.stderr = stderr
  }
}

/**
 * Git as a library of objects and trees, without anything that a repository or a user could make it run.
 * - G1: no configuration of system or user is read, and none of the environment.
 * - G2: the keys by which the configuration of a repository can start programs are set on the command line, which wins.
 */
export class Git {
  readonly #options: GitOptions

  constructor(options: GitOptions) {
    this.#options = options
  }

  /** The same with other places. */
  with(options: Partial<GitOptions>): Git {
    return new Git({ ...this.#options, ...options })
  }

  async text(args: readonly string[], call: GitCall = {}): Promise<string> {
    return (await this.bytes(args, call)).toString('utf8')
  }

  /** The one line that a command prints, such as an object id. */
  async line(args: readonly string[], call: GitCall = {}): Promise<string> {
    return (await this.text(args, call)).trimEnd()
  }

  /** The parts of an output that ends each with NUL. */
  async parts(args: readonly string[], call: GitCall = {}): Promise<string[]> {
    return (await this.text(args, call)).split('\0').filter((part) => part !== '')
  }

  /** @throws {GitError} */
  async bytes(args: readonly string[], call: GitCall = {}): Promise<Buffer> {
    const { cwd } = this.#options
    call.signal?.throwIfAborted()
    const child = spawn('git', [...HARDENED, ...args], { cwd, env: this.#env(), stdio: ['pipe', 'pipe', 'pipe'] })
    const kill = (): void => void child.kill('SIGKILL')
    call.signal?.addEventListener('abort', kill, { once: true })
    const output: Buffer[] = []
    const errors: Buffer[] = []
    const maxBytes = call.maxBytes ?? OUTPUT_MAX_BYTES
    let size = 0
    child.stdout.on('data', (chunk: Buffer) => {
      size += chunk.byteLength
      if (size > maxBytes) kill()
      else output.push(chunk)
    })
    child.stderr.on('data', (chunk: Buffer) => {
      if (errors.length < ERROR_CHUNKS_MAX) errors.push(chunk)
    })
    // Git may end before it has read all; how it ended says more than the broken pipe.
    child.stdin.on('error', () => child.stdin.destroy())
    child.stdin.end(call.input)
    const ended = Promise.withResolvers<number | null>()
    child.once('error', ended.reject)
    child.once('close', ended.resolve)
    try {
      const code = await ended.promise
      call.signal?.throwIfAborted()
      if (size > maxBytes) throw new GitError(args, undefined, `the output is larger than ${maxBytes} bytes`)
      if (code !== 0) throw new GitError(args, code ?? undefined, Buffer.concat(errors).toString('utf8'))
      return Buffer.concat(output)
    } finally {
      call.signal?.removeEventListener('abort', kill)
    }
  }

  /** G1 */
  #env(): Record<string, string> {
    const { gitDir, workTree, indexFile, path } = this.#options
    return {
      PATH: path,
      LC_ALL: 'C',
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_CONFIG_GLOBAL: '/dev/null',
      GIT_TERMINAL_PROMPT: '0',
      GIT_OPTIONAL_LOCKS: '0',
      GIT_NO_LAZY_FETCH: '1',
      GIT_AUTHOR_NAME: 'hypercode',
      GIT_AUTHOR_EMAIL: 'coder@hypercode.local',
      GIT_COMMITTER_NAME: 'hypercode',
      GIT_COMMITTER_EMAIL: 'coder@hypercode.local',
      ...(gitDir !== undefined && { GIT_DIR: gitDir }),
      ...(workTree !== undefined && { GIT_WORK_TREE: workTree }),
      ...(indexFile !== undefined && { GIT_INDEX_FILE: indexFile }),
    }
  }
}

/** G2; a repository of another user is read all the same, since nothing of it can run. */
const HARDENED = ['-c', 'core.fsmonitor=false', '-c', 'core.hooksPath=/dev/null', '-c', 'safe.directory=*']

const OUTPUT_MAX_BYTES = 64 * 1024 * 1024
const ERROR_CHUNKS_MAX = 8
