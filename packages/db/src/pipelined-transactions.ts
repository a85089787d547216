/**
 * Transactions that wait less often for the server. Every wait costs four wakes of a process (to the pooler, to Postgres, and back), which for
 * small statements is more than what they do; a transaction of two statements waits twice instead of four times.
 *
 * T1 `begin` is answered at once, and goes ahead of the first statement without a wait between the two.
 * T2 A statement that ends with `AND_COMMIT` is the last one of its transaction: `commit` goes right behind it, and has been answered when the
 *    statement is. When it fails, Postgres rolls back, whatever follows. A transaction of one statement commits by itself as ever: `begin`
 *    may have to be repeated with it.
 */
import { sql } from 'kysely'
import type pg from 'pg'

const MARK = '\n-- and commit'

/** Stands at the end of the last statement of a transaction. Whether it was done is as open after a lost connection as after a lost `commit`. */
export const AND_COMMIT = sql.raw(MARK)

interface Answer {
  command: string
}
type Query = (...args: unknown[]) => Promise<unknown>
type Settled = PromiseSettledResult<unknown>

const BEGUN: Answer = { command: 'BEGIN' }
const ROLLED_BACK: Answer = { command: 'ROLLBACK' }

/** For a connection that sends each query at once (`pipeline` of node-pg). */
export function pipelineTransactions(client: pg.PoolClient): void {
  const send = client.query.bind(client) as Query
  /** The answer to a `begin` that nobody has waited for yet. */
  let begun: Promise<Settled> | undefined
  /** How the last statement's commit ended, until somebody asks for it. */
  let ended: Answer | undefined

  const withBegin = async (before: Promise<Settled>, answered: Promise<unknown>): Promise<unknown> => {
    const [begin, answer] = await Promise.all([before, settled(answered)])
    if (begin.status === 'rejected') throw begin.reason
    if (answer.status === 'rejected') throw answer.reason
    return answer.value
  }

  const withCommit = async (args: unknown[]): Promise<unknown> => {
    ended = ROLLED_BACK
    const [answer, commit] = await Promise.allSettled([send(...args), send('commit')])
    if (answer.status === 'rejected') throw answer.reason
    if (commit.status === 'rejected') throw commit.reason
    ended = commit.value as Answer
    return answer.value
  }

  const query = async (...args: unknown[]): Promise<unknown> => {
    const [text] = args
    if (ended !== undefined) {
      const answer = ended
      ended = undefined
      if (text === 'commit' || text === 'rollback') return answer
      throw new Error('a statement came behind the last one of its transaction')
    }
    if (text === 'begin') {
      begun = settled(send(...args))
      return BEGUN
    }
    const before = begun
    begun = undefined
    if (before !== undefined) return await withBegin(before, send(...args))
    return await (typeof text === 'string' && text.endsWith(MARK) ? withCommit(args) : send(...args))
  }
  Object.assign(client, { query })
}

const settled = async (answer: Promise<unknown>): Promise<Settled> => (await Promise.allSettled([answer]))[0] as Settled
