import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { closeSync, existsSync, fstatSync, mkdirSync, openSync, readSync, renameSync, statSync } from 'node:fs'
import path from 'node:path'
import { CONFIG_EXIT_CODE } from '@hypercode/config'
import { identify } from '@hypercode/local-stack'
import { listensOn } from './listening.ts'
import type { ProcessRecords } from './process-records.ts'

export interface ProcessPlan {
  readonly name: string
  readonly args: readonly string[]
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
  readonly logFile: string
  /** Answers 2xx, from this very process, when it is ready; without one it counts as ready when it runs. */
  readonly readyUrl?: string
  /** How long it may take to end after SIGTERM. */
  readonly stopMs: number
}

/** A process ended that should not have; the message holds the end of its log. */
export class ProcessEndedError extends Error {
  override readonly name = 'ProcessEndedError'
  /** Undefined when a signal ended it. */
  readonly exitCode: number | undefined
  constructor(message: string, exitCode: number | undefined) {
    super(message)
    this.exitCode = exitCode
  }
}

const READY_MS = 30_000
const STEADY_MS = 30_000
const RESTARTS_MAX = 6
const LOG_MAX_BYTES = 20_000_000

/**
 * A service or an agent of ours. A process that ends while it starts is a failure at once; one that ends later is started
 * again with growing pauses, until it has ended too often in a row.
 */
export class ManagedProcess {
  readonly #plan: ProcessPlan
  readonly #records: ProcessRecords
  readonly #notify: ProcessEvents
  #child: ChildProcess | undefined
  #logStart = 0
  #stopping = false
  #restarts = 0
  #pause: NodeJS.Timeout | undefined

  constructor(plan: ProcessPlan, records: ProcessRecords, notify: ProcessEvents) {
    this.#plan = plan
    this.#records = records
    this.#notify = notify
  }

  get name(): string {
    return this.#plan.name
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  /**
   * Starts the process and waits until it is ready.
   *
   * @throws {ProcessEndedError} as soon as it ends instead
   */
  async start(signal: AbortSignal): Promise<void> {
    const child = this.#spawn()
    const ended = new Promise<never>((_, reject) => {
      child.once('exit', () => reject(this.#endedError(child)))
      child.once('error', (error) => reject(error))
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
    })
    await Promise.race([this.#untilReady(signal), ended])
    child.once('exit', () => this.#onExit(child))
    if (child.exitCode !== null || child.signalCode !== null) throw this.#endedError(child)
  }

  /** Asks it to end, and makes it end when it does not within the bound. */
  async stop(): Promise<void> {
    this.#stopping = true
    clearTimeout(this.#pause)
    const child = this.#child
    if (child === undefined || !isRunning(child)) return
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
    child.kill('SIGTERM')
    const force = setTimeout(() => child.kill('SIGKILL'), this.#plan.stopMs)
    await ended
    clearTimeout(force)
    this.#records.remove(this.name)
  }

  /** Ends it without a word: for when we must exit now. */
  killNow(): void {
    this.#stopping = true
    clearTimeout(this.#pause)
    this.#child?.kill('SIGKILL')
  }

  /** The end of what it logged since it was started. */
  logTail(maxBytes = 3_000): string {
    if (!existsSync(this.#plan.logFile)) return ''
    const fd = openSync(this.#plan.logFile, 'r')
    try {
      const { size } = fstatSync(fd)
      const start = Math.max(this.#logStart, size - maxBytes)
      const buffer = Buffer.alloc(Math.max(0, size - start))
      readSync(fd, buffer, 0, buffer.length, start)
      return buffer.toString('utf8').trim()
    } finally {
      closeSync(fd)
    }
  }

  #spawn(): ChildProcess {
    const { name, args, cwd, env, logFile } = this.#plan
    const log = openLog(logFile)
    this.#logStart = fstatSync(log).size
    const child = spawn(process.execPath, args, { cwd, env, detached: true, stdio: ['ignore', log, log] })
    closeSync(log)
    const identity = child.pid === undefined ? undefined : identify(child.pid)
    if (identity !== undefined) this.#records.set(name, identity)
    this.#child = child
    return child
  }

  async #untilReady(signal: AbortSignal): Promise<void> {
    const { name, readyUrl, logFile } = this.#plan
    if (readyUrl === undefined) return
    const deadline = Date.now() + READY_MS
    let answer = 'no answer'
    while (Date.now() < deadline && !signal.aborted) {
      try {
        const response = await fetch(readyUrl, { signal: AbortSignal.timeout(3_000) })
        answer = await response.text()
        if (response.ok && listensOn(this.pid ?? 0, Number(new URL(readyUrl).port)) !== false) return
        if (response.ok) answer = 'another process answers on its port'
      } catch (error) {
        answer = error instanceof Error ? error.message : String(error)
      }
      await new Promise((resolve) => setTimeout(resolve, 40))
    }
    throw new Error(`${name} was not ready within ${READY_MS / 1_000} s (${answer}); its log is ${logFile}`)
  }

  #endedError(child: ChildProcess): ProcessEndedError {
    const { name, logFile } = this.#plan
    const how = child.signalCode ?? `exit ${child.exitCode}`
    const tail = this.logTail(100_000)
    // What ended it comes first; what failed while it closed would only hide that.
    const why = fatalLines(tail) || tail.slice(-3_000) || '(it logged nothing)'
    return new ProcessEndedError(`${name} ended (${how}):\n${why}\nIts log is ${logFile}`, child.exitCode ?? undefined)
  }

  #onExit(child: ChildProcess): void {
    if (this.#stopping) return
    const error = this.#endedError(child)
    if (this.#restarts >= RESTARTS_MAX || child.exitCode === CONFIG_EXIT_CODE) return this.#notify.failed(error)
    const waitMs = Math.min(5_000, 100 * 2 ** this.#restarts)
    this.#restarts += 1
    this.#notify.restarting(this.name, child.signalCode ?? `exit ${child.exitCode}`)
    this.#pause = setTimeout(() => this.#again(), waitMs)
  }

  #again(): void {
    const child = this.#spawn()
    child.once('exit', () => this.#onExit(child))
    child.once('error', (error) => this.#notify.failed(error))
    this.#notify.restarted()
    // Only real uptime makes up for the times before.
    setTimeout(() => {
      if (this.#child === child && isRunning(child)) this.#restarts = 0
    }, STEADY_MS).unref()
  }
}

export interface ProcessEvents {
  /** It ended by itself and is started again. */
  restarting(name: string, how: string): void
  /** The new process runs, under a new number. */
  restarted(): void
  /** It ended too often. */
  failed(error: Error): void
}

/** The lines of the log at level fatal, without their stacks; empty when there is none. */
function fatalLines(log: string): string {
  const fatal = log.split('\n').filter((line) => line.startsWith('{') && line.includes('"level":"fatal"'))
  return fatal.map((line) => line.replace(/,"stack":"(?:[^"\\]|\\.)*"/g, '')).join('\n')
}

function isRunning(child: ChildProcess): boolean {
  return child.pid !== undefined && child.exitCode === null && child.signalCode === null
}

function openLog(file: string): number {
  mkdirSync(path.dirname(file), { recursive: true })
  if (existsSync(file) && statSync(file).size > LOG_MAX_BYTES) renameSync(file, `${file}.1`)
  return openSync(file, 'a', 0o600)
}
