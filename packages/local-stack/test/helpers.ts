import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  rmSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { Redis } from 'ioredis'
import pg from 'pg'
import { onTestFailed, onTestFinished } from 'vitest'
import type { ServerName, Stack, StackOptions } from '../src/index.ts'
import { dataHome, startStack } from '../src/index.ts'
import { stopLeftovers } from '../src/leftovers.ts'

/** The checkout's own, so that a run does not fetch again what an earlier one has fetched. */
export const runtimeDir = path.join(dataHome(fileURLToPath(new URL('../../..', import.meta.url))).dir, 'runtime')

/** A folder that is gone after the test, and with it every server that worked there. */
export function temporaryFolder(name = 'hc-stack-'): string {
  const dir = mkdtempSync(path.join(tmpdir(), name))
  chmodSync(dir, 0o755) // the servers' user must be able to enter what is made in it
  onTestFinished(async () => {
    const folders = existsSync(dir)
      ? readdirSync(dir, { withFileTypes: true }).filter((entry) => entry.isDirectory())
      : []
    await stopLeftovers(
      folders.map((entry) => path.join(dir, entry.name)),
      [],
    )
    rmSync(dir, { recursive: true, force: true })
  })
  return dir
}

/** A stack in this process, stopped after the test. */
export async function stackIn(dir: string, options: Partial<StackOptions> = {}): Promise<Stack> {
  const stack = await startStack({ runtimeDir, durable: false, ...options, dir })
  onTestFinished(async () => await stack.stop())
  return stack
}

export interface Up {
  readonly pids: Record<ServerName, number>
  readonly ports: Record<ServerName, number>
  readonly reattached: ServerName[]
}

export interface Starter {
  readonly child: ChildProcess
  /** The first line of the starter: that it is up, or why not. */
  readonly outcome: Promise<Up | Error>
  /** Resolves when the starter has ended, however long ago. */
  readonly ended: Promise<void>
}

/** A stack in a process of its own, which is ended after the test. What it said is shown when the test fails. */
export function starterIn(dir: string, options: Partial<StackOptions> = {}): Starter {
  const program = fileURLToPath(new URL('./starter.ts', import.meta.url))
  const child = spawn(process.execPath, [program, JSON.stringify({ runtimeDir, ...options, dir })], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  let output = ''
  onTestFailed(() => {
    const end = child.signalCode ?? child.exitCode ?? 'it still runs'
    process.stderr.write(`starter ${child.pid} (${end}) said:\n${output || '(nothing)'}\n`)
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const outcome = new Promise<Up | Error>((resolve) => {
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString()
      const [, word, rest = ''] = /^(up|failed) (.*)/s.exec(output) ?? []
      if (word === 'up' && output.includes('\n')) resolve(JSON.parse(rest) as Up)
      if (word === 'failed' && output.endsWith('\n')) resolve(new Error(rest.trim()))
    })
    // Not 'exit': that can come before the last line.
    child.once('close', (code, signal) => resolve(new Error(`the starter ended (${signal ?? code})`)))
  })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  return { child, outcome, ended }
}

export async function upOf(starter: Starter): Promise<Up> {
  const outcome = await starter.outcome
  if (outcome instanceof Error) throw outcome
  return outcome
}

export async function killStarter({ child, ended }: Starter): Promise<void> {
  child.kill('SIGKILL')
  await ended
}

/** One query on a connection of its own. */
export async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => undefined) // the server may be killed under it
  await client.connect()
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows
  } finally {
    await client.end()
  }
}

/** One use of a Redis connection. */
export async function withRedis<T>(url: string, use: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(url, { maxRetriesPerRequest: 1, retryStrategy: () => null })
  redis.on('error', () => undefined) // the command itself reports it
  try {
    return await use(redis)
  } finally {
    redis.disconnect()
  }
}

/** Processes that work below `dir`, found without the code under test: name and parent by pid. */
export function workersIn(dir: string): Map<number, { name: string; parent: number; uid: number }> {
  const found = new Map<number, { name: string; parent: number; uid: number }>()
  if (!existsSync(dir)) return found
  const root = realpathSync(dir)
  for (const pid of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    try {
      if (!readlinkSync(`/proc/${pid}/cwd`).startsWith(root)) continue
      const status = readFileSync(`/proc/${pid}/status`, 'utf8')
      if (/^State:\s+[ZX]/m.test(status)) continue
      const field = (name: string): string => new RegExp(`^${name}:\\s+(\\S+)`, 'm').exec(status)?.[1] ?? ''
      found.set(Number(pid), { name: field('Name'), parent: Number(field('PPid')), uid: Number(field('Uid')) })
    } catch {
      continue // it ended while we looked
    }
  }
  return found
}

/** The servers below `dir` without their helper processes, as sorted names. */
export function serversIn(dir: string): string[] {
  const workers = workersIn(dir)
  return [...workers.values()]
    .filter(({ parent }) => !workers.has(parent))
    .map(({ name }) => name)
    .toSorted()
}

/** Waits until `check` is true, at most `waitMs`. */
export async function until(check: () => boolean, waitMs: number): Promise<void> {
  const deadline = Date.now() + waitMs
  while (!check()) {
    if (Date.now() >= deadline) throw new Error(`not true within ${waitMs} ms: ${check.toString()}`)
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
}
