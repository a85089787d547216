import type { Trx } from '@hypercode/db'
import { sql } from 'kysely'
import type { TaskFacts } from '../domain/facts.ts'
import type { GoOnFacts } from '../domain/go-on.ts'
import type { Ledger } from '../domain/ledger.ts'
import { isUnfilled } from '../domain/release.ts'
import { readInputs, readOutputs } from './load.ts'

/** What a paused task needs to go on. Its mission and it are locked. */
export async function readGoOnFacts(trx: Trx, ledger: Ledger, task: TaskFacts): Promise<GoOnFacts> {
  if (isUnfilled(task))
    return { outputs: (await readOutputs(trx, ledger, [task])).get(task.missionId) ?? {}, approvedHash: null }
  if (task.policy?.approval === undefined) return { outputs: {}, approvedHash: null }
  await readInputs(trx, [task])
  return { outputs: {}, approvedHash: await readApprovedHash(trx, task.id) }
}

/** The hash of what was approved when people were asked last before the task began; null when they did not approve. */
async function readApprovedHash(trx: Trx, taskId: string): Promise<string | null> {
  const found = await sql<{ hash: string | null }>`
    select case when a.state = 'approved' or (a.state = 'expired' and a.on_timeout = 'approve') then a.hash end as hash
    from approvals a where a.task_id = ${taskId} and a.wait is null and a.verifies is null order by a.created_at desc limit 1`.execute(
    trx,
  )
  return found.rows[0]?.hash ?? null
}
