/**
 * Statements that are sent all the time keep their plans, also behind a transaction pooler that knows nothing of prepared statements
 * (PgBouncer before 1.21, and later ones with `max_prepared_statements = 0`). To parse and plan takes Postgres longer than to execute:
 * 3.7 of 6.1 ms for a mission of one task, 1.7 ms for the lease statement alone.
 *
 * Such a pooler hands every message on as it is, to another server connection for every transaction. A name is made of the text, so it
 * means the same to whoever prepared it there.
 *
 * K1 Outside of a transaction we try. A server connection that lacks the statement (26000), or has it already (42P05), has done nothing
 *    when it says so: it is asked again in the other way, and after a few turns without a name.
 * K2 Inside of one an error would cost the whole transaction. So its `begin` also asks which statements this connection has: one round
 *    trip for both. The first statement does not wait for the answer (`pipelineTransactions`): it takes for granted that its name is known,
 *    and when it is not, nothing has been done yet and the transaction begins anew.
 * K3 What is prepared is bounded; Postgres holds the plans of each server connection in memory.
 * K4 A pooler that follows prepared statements itself gives them names of its own on the server, and wants to be told each name once by
 *    each client, which is what node-pg does. Until a `begin` has met names, and so shows which pooler it is, none are used inside of
 *    transactions.
 */
import { createHash } from 'node:crypto'
import type pg from 'pg'

/** The texts of a pool that are worth a name. */
export interface PlanBook {
  /** The name of a statement, when it has been sent often enough. */
  nameOf(text: string): string | undefined
  /** This text is never given a name again. */
  forget(text: string): void
  readonly isEmpty: boolean
  /** Whether the pooler follows prepared statements itself; undefined as long as nothing shows it. K4 */
  followed: boolean | undefined
}

export interface PlanBookOptions {
  /** Times that a text is sent before it gets a name. Default 20. */
  worthAfter?: number
  /** Default 50. */
  namesMax?: number
}

/** Texts of one shape each, as ours are, come again; those that do not shall not fill the memory. */
const COUNTED_MAX = 1000

export function createPlanBook({ worthAfter = 20, namesMax = 50 }: PlanBookOptions = {}): PlanBook {
  const counts = new Map<string, number>()
  const names = new Map<string, string>()
  const forgotten = new Set<string>()
  return {
    nameOf(text) {
      const name = names.get(text)
      if (name !== undefined || names.size >= namesMax || forgotten.has(text)) return name
      const count = (counts.get(text) ?? 0) + 1
      if (count <= worthAfter) {
        if (counts.size >= COUNTED_MAX) counts.clear()
        counts.set(text, count)
        return undefined
      }
      counts.delete(text)
      const given = `kept_${createHash('sha256').update(text).digest('hex').slice(0, 32)}`
      names.set(text, given)
      return given
    },
    forget(text) {
      names.delete(text)
      if (forgotten.size < COUNTED_MAX) forgotten.add(text)
    },
    get isEmpty() {
      return names.size === 0
    },
    followed: undefined,
  }
}

interface Answer {
  rows: { names: string | null }[]
}
interface NamedQuery {
  name: string
  text: string
  values: unknown[]
}
interface Transaction {
  /** What its server connection has prepared; undefined when that was not asked, or is not answered yet. */
  has: Set<string> | undefined
  /** Under way together with the first statement. */
  asked: Promise<unknown> | undefined
}
type Query = (query: string | NamedQuery, values?: unknown[]) => Promise<unknown>
/** What node-pg believes about the statements of its connection; it sends no Parse for those that are in here. */
interface Beliefs {
  parsedStatements: Record<string, string>
  submittedNamedStatements: Record<string, string>
}

/** How PgBouncer begins the names that it gives on the server. */
const NAME_OF_POOLER = 'PGBOUNCER_'
const UNKNOWN_NAME = '26000'
const KNOWN_NAME = '42P05'
const TURNS = 3
const BEGIN_AND_ASK = "begin; select string_agg(name, ' ') as names from pg_prepared_statements"

/** Makes the queries of a connection use kept plans. */
export function keepPlans(client: pg.PoolClient, book: PlanBook): void {
  const send = client.query.bind(client) as Query
  const { connection } = client as unknown as { connection: Beliefs }
  let transaction: Transaction | undefined

  const believe = (name: string, text: string, isThere: boolean): void => {
    if (isThere) connection.parsedStatements[name] = text
    else delete connection.parsedStatements[name]
    // Left behind by a Parse that failed.
    delete connection.submittedNamedStatements[name]
  }

  const begin = async (): Promise<unknown> => {
    const begun: Transaction = { has: undefined, asked: undefined }
    transaction = begun
    if (book.isEmpty) return await send('begin')
    const answered = send(BEGIN_AND_ASK) as Promise<[unknown, Answer]>
    begun.asked = answered
    const [answer, asked] = await answered
    begun.asked = undefined
    const has = new Set(asked.rows[0]?.names?.split(' '))
    // K4
    if (has.size > 0) book.followed ??= [...has].some((name) => name.startsWith(NAME_OF_POOLER))
    begun.has = book.followed === undefined ? undefined : has
    return answer
  }

  /** K2 */
  const inside = async (has: Set<string>, query: NamedQuery): Promise<unknown> => {
    if (book.followed !== true) believe(query.name, query.text, has.has(query.name))
    const answer = await send(query)
    has.add(query.name)
    return answer
  }

  /** K2 */
  const first = async (open: Transaction, query: NamedQuery): Promise<unknown> => {
    if (book.followed === false) believe(query.name, query.text, true)
    try {
      return await send(query)
    } catch (error) {
      if (codeOf(error) !== UNKNOWN_NAME) throw error
      await open.asked
      await send('rollback')
      await begin()
      return await planned(query.text, query.values)
    }
  }

  /** K1 */
  const outside = async (query: NamedQuery): Promise<unknown> => {
    for (let turn = 1; turn <= TURNS; turn += 1) {
      try {
        return await send(query)
      } catch (error) {
        const code = codeOf(error)
        if (code !== UNKNOWN_NAME && code !== KNOWN_NAME) throw error
        believe(query.name, query.text, code === KNOWN_NAME)
      }
    }
    return await send(query.text, query.values)
  }

  const planned = async (text: string, values: unknown[]): Promise<unknown> => {
    const name = book.nameOf(text)
    if (name === undefined) return await send(text, values)
    const query = { name, text, values }
    try {
      if (transaction === undefined) return await outside(query)
      if (transaction.asked !== undefined && book.followed !== undefined) return await first(transaction, query)
      return await (transaction.has === undefined ? send(text, values) : inside(transaction.has, query))
    } catch (error) {
      if (!isStalePlan(error)) throw error
      book.forget(text)
      if (transaction !== undefined) throw error
      return await send(text, values)
    }
  }

  const query = (...args: [string | object, unknown[]?, unknown?]): unknown => {
    const [text, values, callback] = args
    if (typeof text !== 'string' || typeof values === 'function' || callback !== undefined)
      return (send as (...all: unknown[]) => unknown)(...args)
    if (text === 'begin') return begin()
    if (text.startsWith('start transaction')) transaction = { has: undefined, asked: undefined }
    else if (text === 'commit' || text === 'rollback') transaction = undefined
    return values === undefined || values.length === 0 ? send(text, values) : planned(text, values)
  }
  Object.assign(client, { query })
}

const codeOf = (error: unknown): unknown => (error as { code?: unknown } | undefined)?.code

/** A migration has changed what a prepared statement answers. Nothing has been done, and without a name it works. */
export const isStalePlan = (error: unknown): boolean =>
  codeOf(error) === UNKNOWN_NAME ||
  (codeOf(error) === '0A000' && error instanceof Error && error.message.includes('cached plan'))
