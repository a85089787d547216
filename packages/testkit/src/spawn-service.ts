import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import path from 'node:path'
import { pickPort } from '@hypercode/local-stack'
import { endWithUs } from './child-guard.ts'
import { createLogReader } from './log-reader.ts'
import type { LogLine, LogReader } from './log-reader.ts'
import { waitFor } from './wait-for.ts'

const ROOT = path.resolve(import.meta.dirname, '../../..')
/** All that a service gets of our own environment; its configuration is what the test gives it. */
const INHERITED = ['PATH', 'HOME', 'TMPDIR', 'LD_LIBRARY_PATH', 'SSL_CERT_FILE', 'NODE_COMPILE_CACHE']

export interface SpawnOptions {
  /** Module to run, from the root of the repository: `apps/gateway/src/server.ts`, or a built `…/dist/server.js`. */
  entry: string
  args?: readonly string[]
  env: Readonly<Record<string, string>>
  /** Variable that tells the service its port, such as GATEWAY_PORT. */
  portVariable?: string
  /** A free one when not given. */
  port?: number
  /** Path that answers 200 when the service is ready, `/readyz` when not given; `false` does not wait. */
  readyPath?: string | false
  /** Default 20,000. */
  readyTimeoutMs?: number
  /** Told of every line as it comes. */
  log?: (line: LogLine) => void
}

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface ServiceProcess {
  readonly url: string
  readonly port: number
  /** Of the latest start. */
  readonly pid: number
  readonly running: boolean
  /** Everything it wrote since the first start, the last 20,000 lines of it; what is not JSON stands as `{ msg }`. */
  readonly lines: readonly LogLine[]
  /** Of the latest start. */
  readonly exited: Promise<Exit>
  /** Sends the signal to this process alone. False when it is gone. */
  kill(signal: NodeJS.Signals): boolean
  /** Asks it to end (SIGTERM), and ends it (SIGKILL) when it has not within `graceMs`, 10,000 when not given. */
  stop(graceMs?: number): Promise<Exit>
  /** Starts it again on the same port, stopping it first when it runs; `env` replaces single variables. */
  restart(env?: Readonly<Record<string, string>>): Promise<void>
  /** The first line that fits, from now or from before. */
  waitForLine(fits: (line: LogLine) => boolean, what: string, timeoutMs?: number): Promise<LogLine>
}

/**
 * Runs a service as a process of its own and waits until it is ready. It ends with this process at the latest.
 * @throws with what the service wrote, when it ends or is not ready in time; then it is gone
 */
export async function spawnService(options: SpawnOptions): Promise<ServiceProcess> {
  const port = options.port ?? (await pickPort())
  const url = `http://127.0.0.1:${port}`
  const reader = createLogReader(options.log)
  let env = options.env
  let current = launch(options, env, port, reader)
  await ready(current, options, url, reader)

  const stop = async (graceMs = 10_000): Promise<Exit> => {
    current.child.kill('SIGCONT') // a frozen process takes no other signal
    current.child.kill('SIGTERM')
    const timer = setTimeout(() => current.child.kill('SIGKILL'), graceMs)
    try {
      return await current.exited
    } finally {
      clearTimeout(timer)
    }
  }

  return {
    url,
    port,
    get pid() {
      return current.child.pid ?? 0
    },
    get running() {
      return isRunning(current.child)
    },
    get lines() {
      return reader.lines
    },
    get exited() {
      return current.exited
    },
    kill: (signal) => isRunning(current.child) && current.child.kill(signal),
    stop,
    async restart(changes = {}) {
      await stop()
      env = { ...env, ...changes }
      current = launch(options, env, port, reader)
      await ready(current, options, url, reader)
    },
    waitForLine: async (fits, what, timeoutMs = 5000) =>
      await waitFor(() => reader.lines.find(fits), { what: `a log line: ${what}`, timeoutMs }),
  }
}

interface Launched {
  readonly child: ChildProcess
  readonly exited: Promise<Exit>
}

function launch(options: SpawnOptions, env: SpawnOptions['env'], port: number, reader: LogReader): Launched {
  const entry = path.resolve(ROOT, options.entry)
  const flags = entry.endsWith('.ts') ? ['--conditions=@hypercode/source'] : []
  const child = spawn(process.execPath, [...flags, entry, ...(options.args ?? [])], {
    cwd: ROOT,
    env: {
      ...Object.fromEntries(
        INHERITED.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
      ),
      HOST: '127.0.0.1',
      LOG_LEVEL: 'info',
      ...(options.portVariable === undefined ? {} : { [options.portVariable]: String(port) }),
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  reader.read(child.stdout)
  reader.read(child.stderr)
  const exited = new Promise<Exit>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve({ code, signal }))
  })
  exited.catch((error: unknown) => reader.add({ msg: `cannot be started: ${String(error)}` }))
  if (child.pid !== undefined) endWithUs(child.pid)
  return { child, exited }
}

async function ready(launched: Launched, options: SpawnOptions, url: string, reader: LogReader): Promise<void> {
  const { readyPath = '/readyz', readyTimeoutMs = 20_000 } = options
  if (readyPath === false) return
  try {
    await waitFor(
      async () => {
        if (!isRunning(launched.child)) return 'ended'
        const response = await fetch(url + readyPath, {
          signal: AbortSignal.timeout(2000),
          headers: { connection: 'close' },
        })
        await response.arrayBuffer()
        return response.ok
      },
      { what: `${options.entry} to be ready`, timeoutMs: readyTimeoutMs },
    )
    if (!isRunning(launched.child)) throw new Error(`${options.entry} ended before it was ready`)
  } catch (error) {
    launched.child.kill('SIGKILL')
    const exit = await launched.exited
    throw new Error(
      `${String(error instanceof Error ? error.message : error)} (exit ${exit.code ?? exit.signal}); it wrote:\n${reader.text(50)}`,
      { cause: error },
    )
  }
}

const isRunning = (child: ChildProcess): boolean =>
  child.pid !== undefined && child.exitCode === null && child.signalCode === null
