/**
 * Postgres as far as the orchestrator can tell: rows, READ COMMITTED, row locks with and without SKIP LOCKED, transactions that commit as
 * a whole or not at all. A row is never changed in place, so that what a statement has read stays what it has read.
 */
import type { Scheduler } from '../scheduler.ts'
import { checkRow } from './checks.ts'
import { DatabaseError, lost } from './errors.ts'
import { KEYS } from './rows.ts'
import type { Rows, TableName } from './rows.ts'

export type Change = { [T in TableName]: { table: T; before: Rows[T] | undefined; after: Rows[T] } }[TableName]
export type Removal = { [T in TableName]: { table: T; before: Rows[T] } }[TableName]

export interface Commit {
  changes: readonly Change[]
  removed: readonly Removal[]
  /** What `now()` was in its statements. */
  begunAt: number
  /** Whose transaction it was. */
  by: string
}

export interface DatabaseOptions {
  scheduler: Scheduler
  /** How long a statement takes from its snapshot to its locks. */
  scanMs?: () => number
  /** Called after each commit that changed something. */
  onCommit: (commit: Commit) => void
  /** Transactions wait for each other in a circle. */
  onDeadlock: (what: string) => void
}

/** As the role of the services has them. */
const LOCK_TIMEOUT_MS = 2000
const IDLE_IN_TRANSACTION_MS = 5000

/** What locks are of: rows, and what transactions agree upon. */
type Lockable = TableName | 'advisory'

interface Lock {
  owner: Session
  waiting: { session: Session; resolve: () => void; reject: (error: Error) => void }[]
}

export class Database {
  readonly scheduler: Scheduler
  readonly options: DatabaseOptions
  readonly tables: { [T in TableName]: Map<string, Rows[T]> } = {
    tasks: new Map(),
    missions: new Map(),
    attempts: new Map(),
    agent_instances: new Map(),
    task_dependencies: new Map(),
    mission_events: new Map(),
    dead_letters: new Map(),
    steps: new Map(),
    effects: new Map(),
    waits: new Map(),
    signals: new Map(),
    approvals: new Map(),
    approval_decisions: new Map(),
    verifications: new Map(),
    queue_controls: new Map(),
    outbox: new Map(),
  }
  readonly locks = new Map<string, Lock>()
  /** Of the statements that meant to hand over what they queued: how many did, and how many queued it all the same. */
  readonly gates = { open: 0, shut: 0 }
  /** Of the statements that save what was decided without a look: how many did, and how many met a change. */
  readonly unseen = { saved: 0, outdated: 0 }
  outboxId = 0

  constructor(options: DatabaseOptions) {
    this.options = options
    this.scheduler = options.scheduler
  }

  begin(name: string): Session {
    return new Session(this, name)
  }
}

/** A transaction. */
export class Session {
  readonly name: string
  /** What `now()` is in all of its statements. */
  readonly now: number
  readonly database: Database
  readonly #written = new Map<TableName, Map<string, unknown>>()
  readonly #held = new Set<string>()
  #waitsFor: Lock | undefined
  #over = false
  #idle: { cancel(): void } | undefined

  constructor(database: Database, name: string) {
    this.database = database
    this.name = name
    this.now = database.scheduler.now
  }

  get isOver(): boolean {
    return this.#over
  }

  /** Every row that the transaction sees now. */
  rows<T extends TableName>(table: T): Rows[T][] {
    const committed = this.database.tables[table] as Map<string, Rows[T]>
    const own = this.#written.get(table) as Map<string, Rows[T] | undefined> | undefined
    if (own === undefined) return [...committed.values()]
    const seen = Array.from(committed, ([key, row]) => (own.has(key) ? own.get(key) : row))
    for (const [key, row] of own) if (!committed.has(key)) seen.push(row)
    return seen.filter((row) => row !== undefined)
  }

  get<T extends TableName>(table: T, key: string): Rows[T] | undefined {
    const own = this.#written.get(table)
    return (own?.has(key) === true ? own.get(key) : this.database.tables[table].get(key)) as Rows[T] | undefined
  }

  put<T extends TableName>(table: T, row: Rows[T]): void {
    checkRow(table, row)
    this.#write(table, KEYS[table](row), row)
  }

  /** `insert`: a row of the same key is an error. */
  insert<T extends TableName>(table: T, row: Rows[T]): void {
    const key = KEYS[table](row)
    if (this.get(table, key) !== undefined) throw new DatabaseError('23505', `duplicate key: ${table} ${key}`)
    this.put(table, row)
  }

  remove(table: TableName, key: string): void {
    this.#write(table, key, undefined)
  }

  #write(table: TableName, key: string, row: unknown): void {
    const own = this.#written.get(table) ?? new Map<string, unknown>()
    this.#written.set(table, own.set(key, row))
  }

  /** `update … where`: takes the lock of the row, waits for it if need be, and changes the row as it is then. */
  async update<T extends TableName>(
    table: T,
    key: string,
    change: (row: Rows[T]) => Rows[T] | undefined,
  ): Promise<void> {
    await this.lock(table, key)
    const row = this.get(table, key)
    const changed = row === undefined ? undefined : change(row)
    if (changed !== undefined) this.put(table, changed)
  }

  /** A moment in which others get on: between the snapshot of a statement and the locks that it takes. */
  async breathe(): Promise<void> {
    const { scheduler, options } = this.database
    await scheduler.wait(options.scanMs?.() ?? 0.02, `${this.name} scans`)
    if (this.#over) throw lost()
  }

  /** False when another transaction has it. */
  tryLock(table: Lockable, key: string): boolean {
    const id = `${table} ${key}`
    const { locks } = this.database
    const lock = locks.get(id)
    if (lock !== undefined) return lock.owner === this
    locks.set(id, { owner: this, waiting: [] })
    this.#held.add(id)
    return true
  }

  async lock(table: TableName, key: string): Promise<void> {
    if (this.tryLock(table, key)) return
    const id = `${table} ${key}`
    const lock = this.database.locks.get(id) as Lock
    this.#waitsFor = lock
    for (let other: Session | undefined = lock.owner; other !== undefined; other = other.#waitsFor?.owner) {
      if (other !== this) continue
      this.#waitsFor = undefined
      this.database.options.onDeadlock(`${this.name} and ${lock.owner.name} at ${id}`)
      throw new DatabaseError('40P01', 'deadlock detected')
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const entry = { session: this, resolve, reject }
    lock.waiting.push(entry)
    const timer = this.database.scheduler.at(LOCK_TIMEOUT_MS, `${this.name} waited too long`, () => {
      lock.waiting.splice(lock.waiting.indexOf(entry), 1)
      reject(new DatabaseError('55P03', 'canceling statement due to lock timeout'))
    })
    try {
      await promise
    } finally {
      timer.cancel()
      this.#waitsFor = undefined
    }
    if (this.#over) throw lost()
  }

  /** The client is silent from here until the next statement; too long, and the server ends the transaction. */
  idle(): void {
    this.#idle = this.database.scheduler.at(IDLE_IN_TRANSACTION_MS, `${this.name} was idle too long`, () =>
      this.rollback(),
    )
  }

  awake(): void {
    this.#idle?.cancel()
    if (this.#over) throw lost()
  }

  commit(): void {
    this.awake()
    this.#over = true
    const changes: Change[] = []
    const removed: Removal[] = []
    for (const [table, rows] of this.#written) {
      const committed = this.database.tables[table] as Map<string, unknown>
      for (const [key, after] of rows) {
        const before = committed.get(key)
        if (after === undefined) {
          if (before !== undefined) removed.push({ table, before } as Removal)
          committed.delete(key)
        } else {
          changes.push({ table, before, after } as Change)
          committed.set(key, after)
        }
      }
    }
    this.#release()
    if (changes.length + removed.length > 0)
      this.database.options.onCommit({ changes, removed, begunAt: this.now, by: this.name })
  }

  rollback(): void {
    if (this.#over) return
    this.#over = true
    this.#idle?.cancel()
    this.#release()
  }

  #release(): void {
    const { locks } = this.database
    if (this.#waitsFor !== undefined) {
      const waiting = this.#waitsFor.waiting
      const at = waiting.findIndex(({ session }) => session === this)
      const [entry] = at === -1 ? [] : waiting.splice(at, 1)
      entry?.reject(lost())
    }
    for (const id of this.#held) {
      const lock = locks.get(id) as Lock
      const next = lock.waiting.shift()
      if (next === undefined) locks.delete(id)
      else {
        lock.owner = next.session
        next.session.#held.add(id)
        // It has it before it knows: who looks for circles until then would find one of a single session.
        next.session.#waitsFor = undefined
        next.resolve()
      }
    }
    this.#held.clear()
  }
}
