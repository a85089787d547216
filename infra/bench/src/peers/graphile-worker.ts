import { randomUUID } from 'node:crypto'
import path from 'node:path'
import { makeWorkerUtils } from 'graphile-worker'
import { startBenchChild } from '../../../dev/src/bench/bench-child.ts'
import { PAYLOAD, expectPayload } from '../contender.ts'
import type { Contender, Ground } from '../contender.ts'
import { openMailbox } from './mailbox.ts'
import { openWatchedPool } from './watched-pool.ts'
import { untilTrue } from '../until-true.ts'

const CONCURRENCY = 24
const LOCAL_QUEUE = 500
const POOL = 10

/** What the tasks of a user would need beside the queue: it keeps no results, has no joins, and tells nobody of an end. */
const USER_TABLES = `
  create table bench_results (id uuid primary key, output jsonb not null);
  create table bench_fans (id uuid primary key, open int not null);`

/**
 * A submitter and a worker, each in a process of its own. Results, joins and the news of an end are one statement of the task each. In a
 * burst no result is kept: what is measured is then that the last job is gone from the queue.
 */
export async function start({ openServers }: Ground): Promise<Contender> {
  const { databaseUrl } = await openServers()
  const pool = openWatchedPool(databaseUrl, POOL, 'graphile-worker')
  await pool.query(USER_TABLES)
  const utils = await makeWorkerUtils({ pgPool: pool })
  await utils.migrate()
  const mailbox = await openMailbox(databaseUrl, 'bench_done')
  const worker = await startBenchChild(path.join(import.meta.dirname, 'graphile-worker-worker.ts'), {
    DATABASE_URL: databaseUrl,
    CONCURRENCY: String(CONCURRENCY),
    LOCAL_QUEUE: String(LOCAL_QUEUE),
    POOL: String(POOL),
  })
  const run = async (task: string, more: object = {}): Promise<void> => {
    const id = randomUUID()
    const result = mailbox.expect(id)
    await utils.addJob(task, { id, payload: PAYLOAD, ...more })
    expectPayload(await result)
  }
  return {
    async burst(missions) {
      const specs = Array.from({ length: missions }, () => ({ identifier: 'forget', payload: { payload: PAYLOAD } }))
      await utils.addJobs(specs)
      await untilTrue(async () => {
        const { rowCount } = await pool.query('select from graphile_worker._private_jobs limit 1')
        return rowCount === 0
      })
    },
    single: async () => run('single'),
    chain: async () => run('chain', { left: 2 }),
    fan: async () => run('fan'),
    settings: {
      worker: `one process, concurrentJobs ${CONCURRENCY}, localQueue.size ${LOCAL_QUEUE}, completeJobBatchDelay 0, pool of ${POOL}`,
      P1: 'addJobs of all at once; no result is kept',
      'P2–P4': 'the task itself stores its result, adds what follows and notifies the submitter, in one statement',
    },
    async stop() {
      await worker.stop()
      await mailbox.close()
      await utils.release()
      await pool.end()
    },
  }
}
