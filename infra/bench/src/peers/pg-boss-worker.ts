import { PgBoss } from 'pg-boss'
import type { Db, Job } from 'pg-boss'
import { FAN_WIDTH, PAYLOAD, noop } from '../contender.ts'
import { endWithParent } from '../end-with-parent.ts'

const { DATABASE_URL = '', BATCH = '', POOL = '' } = process.env

interface Work {
  id: string
  payload?: string
  left?: number
}

const boss = new PgBoss({ connectionString: DATABASE_URL, max: Number(POOL), schedule: false, useListenNotify: true })
boss.on('error', (error) => process.stderr.write(`pg-boss: ${error.message}\n`))
await boss.start()

type Step = (jobs: Job<Work>[], tx: Db) => Promise<void>

const work = async (queue: string, step: Step): Promise<unknown> =>
  boss.work<Work, unknown, typeof OPTIONS>(queue, OPTIONS, async (jobs, tx) => {
    await step(jobs, tx)
    return noop()
  })
const OPTIONS = { batchSize: Number(BATCH), burstWhenBatchFull: true, transactional: true } as const

/** Tells the submitter when this transaction commits. */
const tell = async (tx: Db, news: readonly { id: string; output: unknown }[]): Promise<void> => {
  // A notification holds 8,000 bytes.
  for (let from = 0; from < news.length; from += 20) {
    await tx.executeSql("select pg_notify('bench_done', $1)", [JSON.stringify(news.slice(from, from + 20))])
  }
}
const add = async (tx: Db, queue: string, data: readonly Work[]): Promise<void> => {
  if (data.length === 0) return
  await boss.insert(
    queue,
    data.map((one) => ({ data: one })),
    { db: tx },
  )
}
const finish = async (tx: Db, jobs: readonly Job<Work>[]): Promise<void> =>
  tell(
    tx,
    jobs.map(({ data }) => ({ id: data.id, output: noop() })),
  )

await work('burst', async (jobs, tx) => tell(tx, [{ id: 'burst', output: jobs.length }]))
await work('single', async (jobs, tx) => finish(tx, jobs))
await work('chain', async (jobs, tx) => {
  const next = jobs.filter(({ data }) => (data.left ?? 0) > 0)
  await add(
    tx,
    'chain',
    next.map(({ data }) => ({ id: data.id, payload: noop().payload, left: (data.left ?? 0) - 1 })),
  )
  await finish(
    tx,
    jobs.filter((job) => !next.includes(job)),
  )
})
await work('fan', async (jobs, tx) => {
  const ids = jobs.map(({ data }) => data.id)
  await tx.executeSql('insert into bench_fans (id, open) select unnest($1::uuid[]), $2', [ids, FAN_WIDTH])
  await add(
    tx,
    'each',
    ids.flatMap((id) => Array.from({ length: FAN_WIDTH }, (_, n) => ({ id, n }))),
  )
})
await work('each', async (jobs, tx) => {
  const done = Map.groupBy(jobs, ({ data }) => data.id)
  const { rows } = await tx.executeSql(
    `update bench_fans f set open = f.open - d.n from unnest($1::uuid[], $2::int[]) as d (id, n) where f.id = d.id returning f.id, f.open`,
    [[...done.keys()], [...done.values()].map((group) => group.length)],
  )
  const joined = (rows as { id: string; open: number }[]).filter(({ open }) => open === 0)
  await add(
    tx,
    'single',
    joined.map(({ id }) => ({ id, payload: PAYLOAD })),
  )
})
endWithParent(async () => boss.stop({ graceful: false }))
