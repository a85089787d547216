import { randomUUID } from 'node:crypto'
import type { Db } from '@hypercode/db'
import { addToOutbox, parseHints, tailStream } from '@hypercode/events'
import type { Hint, MissionHint, OutboxRow, Tail } from '@hypercode/events'
import { sql } from 'kysely'

export const missionHint = (seq: number, missionId: string = randomUUID()): MissionHint => ({
  kind: 'mission',
  tenantId: '00000000-0000-7000-8000-000000000000',
  missionId,
  seq,
  correlationId: 'c',
})

/** One committed change with its hints. */
export const commit = async (db: Db, hints: Hint[]): Promise<OutboxRow> =>
  await db.transaction().execute(async (trx) => await addToOutbox(trx, hints))

/** As if the two seconds, after which the relay looks at a row, had passed. */
export const makeDue = async (db: Db): Promise<void> => {
  await sql`update outbox set next_try_at = now() - interval '1 second'`.execute(db)
}

export const outboxIds = async (db: Db): Promise<number[]> =>
  (await db.selectFrom('outbox').select('id').orderBy('id').execute()).map(({ id }) => id)

export interface Ear {
  readonly tail: Tail
  /** Numbers of the hints that came, in order. */
  readonly heard: number[]
  readonly gaps: number
  readonly errors: Error[]
}

/** Listens to a stream of hints. */
export function listen(url: string, stream: string): Ear {
  const heard: number[] = []
  const errors: Error[] = []
  let gaps = 0
  const tail = tailStream({
    url,
    stream,
    onEntry: (fields) => heard.push(...parseHints(fields['hints']).map(({ seq }) => seq)),
    onGap: () => (gaps += 1),
    onError: (error) => errors.push(error),
  })
  return {
    tail,
    heard,
    errors,
    get gaps() {
      return gaps
    },
  }
}
