import type { Db } from '@hypercode/db'
import { sql } from 'kysely'

/** SQL by the name of the invariant that it looks after; each answers the rows that break it. */
export type Statements = Readonly<Record<string, string>>

/** An invariant that does not hold, with some of what breaks it. */
export interface Broken {
  /** Its number, and what is wrong: `O3 two successes of one task`. */
  readonly invariant: string
  readonly rows: readonly unknown[]
}

const ROWS_MAX = 5

/** Runs every statement on one snapshot and answers those that found something. */
export async function findBroken(db: Db, statements: Statements): Promise<Broken[]> {
  return await db
    .transaction()
    .setIsolationLevel('repeatable read')
    .execute(async (trx) => {
      // These tables have just been filled, and nobody has counted their rows: left to itself Postgres would guess that they are small.
      await sql`set local enable_nestloop = off`.execute(trx)
      await sql`set local statement_timeout = '60s'`.execute(trx)
      const broken: Broken[] = []
      for (const [invariant, statement] of Object.entries(statements)) {
        const { rows } = await sql.raw(`${statement} limit ${ROWS_MAX}`).execute(trx)
        if (rows.length > 0) broken.push({ invariant, rows })
      }
      return broken
    })
}
