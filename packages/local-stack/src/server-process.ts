import { spawn } from 'node:child_process'
import { closeSync, openSync, renameSync } from 'node:fs'
import path from 'node:path'
import type { Account } from './account.ts'
import type { ServerName } from './binaries.ts'
import { StackError, messageOf } from './errors.ts'
import { readTail, sizeOf } from './files.ts'
import { pickPort } from './free-port.ts'
import type { ProcessIdentity } from './process-identity.ts'
import { identify, isAlive, signalProcess, waitGone } from './process-identity.ts'
import type { ServerPlan } from './server-plan.ts'
import { readRecords, writeRecord } from './server-records.ts'

const READY_MS = 30_000
const LOG_MAX_BYTES = 5_000_000

/**
 * One server process: started by us, or left by an earlier starter and adopted.
 *
 * Invariants: S1 a process is recorded in the same turn in which it is started. S2 a signal reaches only the recorded
 * process, never one that got its number later. S3 a server is started only after its record is dead and the folder has
 * been searched (see `stopLeftovers`).
 */
export class ServerProcess {
  readonly logFile: string
  readonly #dir: string
  readonly #account: Account
  readonly #plan: ServerPlan
  #identity: ProcessIdentity | undefined
  #port = 0
  #logStart = 0

  constructor(dir: string, account: Account, plan: ServerPlan) {
    this.#dir = dir
    this.#account = account
    this.#plan = plan
    this.logFile = path.join(dir, 'logs', `${plan.name}.log`)
  }

  get name(): ServerName {
    return this.#plan.name
  }

  get port(): number {
    return this.#port
  }

  /** The process id of the last start; the process need not live any more. */
  get pid(): number {
    return this.#identity?.pid ?? 0
  }

  get alive(): boolean {
    return this.#identity !== undefined && isAlive(this.#identity)
  }

  /**
   * Takes over a living, healthy server that was started for the same plan. Otherwise answers why not, and what still
   * lives is for the caller to stop.
   */
  async adopt(): Promise<'adopted' | { readonly refused: string }> {
    const record = readRecords(this.#dir)[this.name]
    if (record?.process === undefined || !isAlive(record.process)) return { refused: 'it does not run' }
    if (record.fingerprint !== this.#plan.fingerprint(record.port))
      return { refused: 'it was started for other options' }
    try {
      await this.#plan.probe(record.port)
    } catch (error) {
      return { refused: `it does not answer: ${messageOf(error)}` }
    }
    this.#identity = record.process
    this.#port = record.port
    return 'adopted'
  }

  /** Starts the server on the port it had last, or on a free one, and waits until it answers. */
  async start(): Promise<void> {
    await this.#start(readRecords(this.#dir)[this.name]?.port, false)
  }

  /** Sends a signal to the server. False when it is gone. */
  kill(signal: NodeJS.Signals): boolean {
    return this.#identity !== undefined && signalProcess(this.#identity, signal)
  }

  /** Resolves when the process has ended; false when it still lives after `waitMs`. */
  async waitGone(waitMs: number): Promise<boolean> {
    return this.#identity === undefined || (await waitGone(this.#identity, waitMs))
  }

  /** Starts a server that was killed again, on its port; stops it first when it lives. */
  async restart(): Promise<void> {
    if (this.alive) await this.stop()
    await this.#start(this.#port, true)
  }

  /** Stops the server by its own rules, and by SIGKILL when it does not obey. */
  async stop(): Promise<void> {
    this.kill('SIGCONT') // a frozen process takes no other signal
    for (const { signal, waitMs } of [...this.#plan.stopSignals, { signal: 'SIGKILL' as const, waitMs: 10_000 }]) {
      if (!this.kill(signal) || (await this.waitGone(waitMs))) break
    }
    if (this.alive) throw new StackError(`${this.name} (process ${this.pid}) cannot be stopped`)
    writeRecord(this.#dir, this.name, { port: this.#port, process: undefined, fingerprint: '' })
  }

  /** The end of what the server logged since it was started. */
  logTail(): string {
    return readTail(this.logFile, this.#logStart)
  }

  async #start(preferred: number | undefined, portIsFixed: boolean): Promise<void> {
    const deadline = Date.now() + READY_MS
    for (;;) {
      this.#port = portIsFixed && preferred !== undefined ? preferred : await pickPort(preferred)
      this.#plan.prepare(this.#port)
      const failure = await this.#spawn(deadline)
      if (failure === undefined) return
      const tail = this.logTail()
      // Somebody took the port after we looked; or, after a SIGKILL, children of the old Postgres are still ending.
      const passing = /address (already )?in use|could not bind|shared memory block/i.test(tail)
      if (!passing || Date.now() >= deadline) {
        throw new StackError(`${this.name} ${failure}\n${tail || '(it logged nothing)'}\nIts log is ${this.logFile}`)
      }
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }

  /** Undefined when the server answers; otherwise what went wrong, and then the process is gone. */
  async #spawn(deadline: number): Promise<string | undefined> {
    const log = this.#openLog()
    const child = spawn(this.#plan.command, this.#plan.args(this.#port), {
      ...this.#account,
      cwd: this.#plan.cwd,
      env: this.#plan.env,
      detached: true, // Ctrl-C of a terminal goes to its whole group; the servers must outlive the services
      stdio: ['ignore', log, log],
    })
    closeSync(log)
    let ended: string | undefined
    child.once('error', (error) => (ended = `could not be started: ${error.message}`))
    child.once('exit', (code, signal) => (ended = `ended by itself (${signal ?? `exit ${code}`})`))
    child.unref()
    this.#identity = child.pid === undefined ? undefined : identify(child.pid)
    const process = this.#identity
    writeRecord(this.#dir, this.name, { port: this.#port, process, fingerprint: this.#plan.fingerprint(this.#port) })
    let last = ''
    while (Date.now() < deadline) {
      try {
        await this.#plan.probe(this.#port)
        // Something else may answer on the port while our server is failing to take it.
        if (this.alive) return undefined
      } catch (error) {
        last = messageOf(error)
      }
      if (ended !== undefined) return ended
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    await this.stop()
    return `did not answer within ${READY_MS / 1_000} s (${last})`
  }

  #openLog(): number {
    if (sizeOf(this.logFile) > LOG_MAX_BYTES) renameSync(this.logFile, `${this.logFile}.1`)
    this.#logStart = sizeOf(this.logFile)
    return openSync(this.logFile, 'a', 0o600)
  }
}
