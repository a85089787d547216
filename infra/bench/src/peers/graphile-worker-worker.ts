import { Logger, run } from 'graphile-worker'
import type { JobHelpers } from 'graphile-worker'
import { FAN_WIDTH, PAYLOAD, noop } from '../contender.ts'
import { endWithParent } from '../end-with-parent.ts'
import { openWatchedPool } from './watched-pool.ts'

const { DATABASE_URL = '', CONCURRENCY, LOCAL_QUEUE, POOL } = process.env
const pool = openWatchedPool(DATABASE_URL, Number(POOL), 'graphile-worker')

interface Work {
  id: string
  payload: string
  left?: number
}

const STORE = `with stored as (insert into bench_results (id, output) values ($1, $2) returning id, output)
  select pg_notify('bench_done', json_build_object('id', id, 'output', output)::text) from stored`
const COUNT_DOWN = `with counted as (update bench_fans set open = open - 1 where id = $1 returning open)
  select graphile_worker.add_job('single', json_build_object('id', $1::text, 'payload', $2::text)) from counted where open = 0`

/** The query's plan is kept by its name, as the queue itself does it. */
const finish = async (helpers: JobHelpers, id: string): Promise<void> =>
  void (await helpers.withPgClient(async (client) =>
    client.query({ name: 'bench_store', text: STORE, values: [id, JSON.stringify(noop())] }),
  ))

const runner = await run({
  pgPool: pool,
  noHandleSignals: true,
  logger: new Logger(() => () => undefined),
  preset: {
    worker: {
      concurrentJobs: Number(CONCURRENCY),
      localQueue: { size: Number(LOCAL_QUEUE) },
      completeJobBatchDelay: 0,
      failJobBatchDelay: 0,
    },
  },
  taskList: {
    forget: async () => void noop(),
    single: async (payload, helpers) => finish(helpers, (payload as Work).id),
    chain: async (payload, helpers) => {
      const { id, left = 0 } = payload as Work
      if (left === 0) return await finish(helpers, id)
      await helpers.addJob('chain', { id, payload: noop().payload, left: left - 1 })
    },
    fan: async (payload, helpers) => {
      const { id } = payload as Work
      await helpers.query('insert into bench_fans (id, open) values ($1, $2)', [id, FAN_WIDTH])
      await helpers.addJobs(Array.from({ length: FAN_WIDTH }, (_, n) => ({ identifier: 'each', payload: { id, n } })))
    },
    each: async (payload, helpers) => {
      const { id } = payload as Work
      await helpers.withPgClient(async (client) =>
        client.query({ name: 'bench_count_down', text: COUNT_DOWN, values: [id, PAYLOAD] }),
      )
    },
  },
})
endWithParent(async () => {
  await runner.stop()
  await pool.end()
})
