import type { Session } from './database.ts'
import { flat } from './statement.ts'
import type { Call, Statement } from './statement.ts'
import * as approvals from './statements/approvals.ts'
import * as compensations from './statements/compensations.ts'
import * as due from './statements/due.ts'
import * as effects from './statements/effects.ts'
import * as journal from './statements/journal.ts'
import * as lease from './statements/lease.ts'
import * as load from './statements/load.ts'
import * as outbox from './statements/outbox.ts'
import * as people from './statements/people.ts'
import * as queues from './statements/queues.ts'
import * as reports from './statements/reports.ts'
import * as save from './statements/save-ledger.ts'
import * as submit from './statements/submit.ts'
import * as verifications from './statements/verifications.ts'
import * as waits from './statements/waits.ts'

const isStatement = (one: unknown): one is Statement => typeof one === 'object' && one !== null && 'marks' in one

const FILES = [
  approvals,
  compensations,
  due,
  effects,
  journal,
  lease,
  load,
  outbox,
  people,
  queues,
  reports,
  save,
  submit,
  verifications,
  waits,
]
const ALL = FILES.flatMap((file) => Object.values(file).filter(isStatement))
const known = new Map<string, { statement: Statement; text: string }>()

/** The model of a statement. One that is not known is an error that names it: the simulation then lags behind the code. */
export function lookUp(sql: string): { statement: Statement; text: string } {
  const cached = known.get(sql)
  if (cached !== undefined) return cached
  const text = flat(sql)
  const fitting = ALL.filter((one) => one.marks.every((mark) => text.includes(mark)))
  const [statement] = fitting
  if (statement === undefined || fitting.length > 1)
    throw new Error(
      `the model knows ${fitting.length} statements (${fitting.map((one) => one.name).join()}) for: ${text}`,
    )
  const entry = { statement, text }
  known.set(sql, entry)
  return entry
}

/** The names of all statements that the model knows, and of those that it was asked in this thread. */
export const allStatements = (): string[] => ALL.map(({ name }) => name)
export const askedStatements = (): string[] => Array.from(known.values(), ({ statement }) => statement.name)

export async function execute(session: Session, sql: string, params: readonly unknown[]): Promise<object[]> {
  const { statement, text } = lookUp(sql)
  const call: Call = { session, text, params }
  return await statement.run(call)
}
