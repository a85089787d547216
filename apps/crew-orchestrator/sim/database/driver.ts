import { Kysely, PostgresAdapter, PostgresIntrospector, PostgresQueryCompiler } from 'kysely'
import type { CompiledQuery, DatabaseConnection, Dialect, Driver, QueryResult } from 'kysely'
import type { Database as Schema, Db } from '@hypercode/db'
import { execute, lookUp } from './book.ts'
import type { Database, Session } from './database.ts'
import { lost } from './errors.ts'

/** The way between a process and the database. */
export interface Link {
  readonly name: string
  /** Resolves when what is sent arrives; rejects, or never resolves, when it does not. */
  travel(label: string): Promise<void>
  /** Told of each transaction, so that it can be ended when the process dies. */
  opened(session: Session): void
}

/** A Kysely over the model: the real statements are built and sent, and answered by what they mean. */
export function connect(database: Database, link: Link): Db {
  const dialect: Dialect = {
    createAdapter: () => new PostgresAdapter(),
    createDriver: () => new ModelDriver(database, link),
    createIntrospector: (db) => new PostgresIntrospector(db),
    createQueryCompiler: () => new PostgresQueryCompiler(),
  }
  return new Kysely<Schema>({ dialect })
}

class ModelDriver implements Driver {
  readonly #database: Database
  readonly #link: Link

  constructor(database: Database, link: Link) {
    this.#database = database
    this.#link = link
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<DatabaseConnection> {
    return new ModelConnection(this.#database, this.#link)
  }

  async beginTransaction(connection: DatabaseConnection): Promise<void> {
    ;(connection as ModelConnection).begin()
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    await (connection as ModelConnection).commit()
  }

  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    ;(connection as ModelConnection).rollback()
  }

  async releaseConnection(): Promise<void> {}

  async destroy(): Promise<void> {}
}

class ModelConnection implements DatabaseConnection {
  readonly #database: Database
  readonly #link: Link
  #transaction: Session | undefined

  constructor(database: Database, link: Link) {
    this.#database = database
    this.#link = link
  }

  /** The real BEGIN goes ahead of the first statement; `now()` is its instant. */
  begin(): void {
    this.#transaction = this.#open()
    this.#transaction.idle()
  }

  async commit(): Promise<void> {
    const session = this.#transaction as Session
    this.#transaction = undefined
    await this.#send('commit', session)
    session.commit()
    await this.#reply('commit')
  }

  rollback(): void {
    this.#transaction?.rollback()
    this.#transaction = undefined
  }

  async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    const { statement } = lookUp(sql)
    const transaction = this.#transaction
    if (transaction !== undefined) {
      const rows = await this.#run(transaction, statement.name, sql, parameters)
      transaction.idle()
      await this.#reply(statement.name)
      return resultOf(rows)
    }
    await this.#link.travel(`${this.#link.name} sends ${statement.name}`)
    const session = this.#open()
    const rows = await this.#attempt(session, async () => execute(session, sql, parameters))
    session.commit()
    await this.#reply(statement.name)
    return resultOf(rows)
  }

  // oxlint-disable-next-line require-yield -- it throws before it could
  async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error('the model streams no rows')
  }

  async #run(session: Session, name: string, sql: string, params: readonly unknown[]): Promise<object[]> {
    await this.#send(name, session)
    return await this.#attempt(session, async () => execute(session, sql, params))
  }

  async #send(name: string, session: Session): Promise<void> {
    try {
      await this.#link.travel(`${this.#link.name} sends ${name}`)
      session.awake()
    } catch (error) {
      session.rollback()
      throw error
    }
  }

  /** Lost after the database has done what it was asked for: the caller cannot know. Inside a transaction the rest of it is lost too. */
  async #reply(name: string): Promise<void> {
    try {
      await this.#link.travel(`${this.#link.name} hears of ${name}`)
    } catch (error) {
      this.#transaction?.rollback()
      throw error
    }
  }

  async #attempt<T>(session: Session, work: () => Promise<T>): Promise<T> {
    try {
      const result = await work()
      if (session.isOver) throw lost()
      return result
    } catch (error) {
      session.rollback()
      throw error
    }
  }

  #open(): Session {
    const session = this.#database.begin(this.#link.name)
    this.#link.opened(session)
    return session
  }
}

const resultOf = <R>(rows: object[]): QueryResult<R> => ({ rows: rows as R[], numAffectedRows: BigInt(rows.length) })
