import { openDatabase } from '@hypercode/db'
import type { Db } from '@hypercode/db'
import { MISSION_STATEMENTS, findBroken, findBrokenHistories } from '@hypercode/testkit/invariants'
import type { Broken } from '@hypercode/testkit/invariants'
import { findBrokenPromises } from './client-history.ts'
import type { HistoryRecord } from './client-history.ts'
import { findBrokenEffects } from './effects.ts'
import type { SinkRecord } from './effects.ts'
import { readJsonLines } from './json-lines.ts'
import { REGISTRY_STATEMENTS } from './registry-statements.ts'
import { restStatements } from './rest-statements.ts'
import type { RestTimes } from './rest-statements.ts'
import { findBrokenStreams } from './streams.ts'
import type { StreamTarget } from './streams.ts'

export interface CheckTarget {
  /** Straight to Postgres, as its owner. */
  readonly directUrl: string
  readonly streams?: StreamTarget | undefined
  readonly sinkFile?: string | undefined
  readonly historyFile?: string | undefined
  /** Given when everything has been quiet: then what a next sweep would put right counts as well. */
  readonly rest?: RestTimes | undefined
}

/** Verifies everything that can be seen of a platform from outside. Empty when all of it holds. */
export async function check(target: CheckTarget): Promise<Broken[]> {
  const handle = openDatabase({
    url: target.directUrl,
    poolMax: 1,
    applicationName: 'checker',
    onIdleError: () => undefined, // the next statement says so
    connectTimeoutMs: 10_000,
    queryTimeoutMs: 120_000,
  })
  try {
    return await checkDatabase(handle.db, target)
  } finally {
    await handle.close()
  }
}

async function checkDatabase(db: Db, { streams, sinkFile, historyFile, rest }: CheckTarget): Promise<Broken[]> {
  return [
    ...(await findBroken(db, MISSION_STATEMENTS)),
    ...(await findBrokenHistories(db)),
    ...(await findBroken(db, REGISTRY_STATEMENTS)),
    ...(rest === undefined ? [] : await findBroken(db, restStatements(rest))),
    ...(streams === undefined ? [] : await findBrokenStreams(db, streams)),
    ...(sinkFile === undefined ? [] : await findBrokenEffects(db, () => readJsonLines<SinkRecord>(sinkFile))),
    ...(historyFile === undefined ? [] : await findBrokenPromises(db, readJsonLines<HistoryRecord>(historyFile))),
  ]
}
