import { randomUUID } from 'node:crypto'
import path from 'node:path'
import { PgBoss } from 'pg-boss'
import { startBenchChild } from '../../../dev/src/bench/bench-child.ts'
import { PAYLOAD, expectPayload } from '../contender.ts'
import type { Contender, Ground } from '../contender.ts'
import { openMailbox } from './mailbox.ts'

const BATCH = 1000
const POOL = 10
const QUEUES = ['burst', 'single', 'chain', 'fan', 'each'] as const

/** What a user needs to know when all of a fan are done sooner than the second that its own flows take for a hop. */
const USER_TABLES = 'create table bench_fans (id uuid primary key, open int not null)'

/**
 * A submitter and a worker, each in a process of its own. Workers take batches and are woken by NOTIFY. Whatever follows a task (the next
 * one, the join, the news of an end) is written in the transaction that completes the batch, as the documentation of `transactional` has it.
 */
export async function start({ openServers }: Ground): Promise<Contender> {
  const { databaseUrl } = await openServers()
  const boss = new PgBoss({ connectionString: databaseUrl, max: POOL, supervise: false, schedule: false })
  boss.on('error', (error) => process.stderr.write(`pg-boss: ${error.message}\n`))
  await boss.start()
  for (const queue of QUEUES) await boss.createQueue(queue, { notify: true, partition: true })
  await boss.getDb().executeSql(USER_TABLES)
  const mailbox = await openMailbox(databaseUrl, 'bench_done')
  const worker = await startBenchChild(path.join(import.meta.dirname, 'pg-boss-worker.ts'), {
    DATABASE_URL: databaseUrl,
    BATCH: String(BATCH),
    POOL: String(POOL),
  })
  const run = async (queue: string, more: object = {}): Promise<void> => {
    const id = randomUUID()
    const result = mailbox.expect(id)
    await boss.send(queue, { id, payload: PAYLOAD, ...more })
    expectPayload(await result)
  }
  return {
    async burst(missions) {
      let left = missions
      const done = new Promise<void>((resolve) => {
        mailbox.onOther(({ output }) => {
          left -= Number(output)
          if (left === 0) resolve()
        })
      })
      for (let sent = 0; sent < missions; sent += BATCH) {
        const size = Math.min(BATCH, missions - sent)
        await boss.insert(
          'burst',
          Array.from({ length: size }, () => ({ data: { payload: PAYLOAD } })),
        )
      }
      await done
    },
    single: async () => run('single'),
    chain: async () => run('chain', { left: 2 }),
    fan: async () => run('fan'),
    settings: {
      worker: `one process, batchSize ${BATCH}, transactional, burstWhenBatchFull, useListenNotify, one partition a queue, pool of ${POOL}`,
      P1: `insert, ${BATCH} jobs at a time`,
      'P2–P4':
        'what follows a task, and the news of the end by pg_notify, is in the transaction that completes its batch',
    },
    async stop() {
      await worker.stop()
      await mailbox.close()
      await boss.stop({ graceful: false })
    },
  }
}
