import path from 'node:path'
import { FlowProducer, Queue, QueueEvents } from 'bullmq'
import { Redis } from 'ioredis'
import { startBenchChild } from '../../../dev/src/bench/bench-child.ts'
import { PAYLOAD, expectPayload } from '../contender.ts'
import type { Contender, Ground } from '../contender.ts'
import { untilTrue } from '../until-true.ts'

const QUEUE = 'bench'
const CONCURRENCY = 50
const WAIT_MS = 60_000
/** So long that no event is cut off before it is read. */
const EVENTS_MAX = 200_000

/**
 * A submitter and a worker, each in a process of its own, over Redis. Chains are flows; a fan is the documented pattern of a job that adds
 * its children and then waits for them, which takes fewer commands than one flow of 102 jobs.
 */
export async function start({ openServers, variant }: Ground): Promise<Contender> {
  const { redisUrl } = await openServers()
  const connections: Redis[] = []
  const open = (): Redis => {
    const connection = new Redis(redisUrl, { maxRetriesPerRequest: null })
    connections.push(connection)
    return connection
  }
  await open().config('SET', 'appendfsync', variant)
  const streams = { events: { maxLen: EVENTS_MAX } }
  const queue = new Queue(QUEUE, { connection: open(), streams })
  const flows = new FlowProducer({ connection: open() })
  // From the first entry: what happens before its first read would be missed otherwise.
  const events = new QueueEvents(QUEUE, { connection: open(), lastEventId: '0-0' })
  // One for each mission that waits.
  for (const emitter of [queue, flows, events]) emitter.setMaxListeners(0)
  await Promise.all([queue.waitUntilReady(), flows.waitUntilReady(), events.waitUntilReady()])
  const worker = await startBenchChild(path.join(import.meta.dirname, 'bullmq-worker.ts'), {
    REDIS_URL: redisUrl,
    QUEUE,
    CONCURRENCY: String(CONCURRENCY),
    EVENTS_MAX: String(EVENTS_MAX),
  })
  const job = (name: string, data: object = { payload: PAYLOAD }) => ({ name, queueName: QUEUE, data })
  return {
    async burst(missions) {
      const before = await queue.getCompletedCount()
      await queue.addBulk(Array.from({ length: missions }, () => ({ name: 'noop', data: { payload: PAYLOAD } })))
      await untilTrue(async () => (await queue.getCompletedCount()) >= before + missions)
    },
    async single() {
      const added = await queue.add('noop', { payload: PAYLOAD })
      expectPayload(await added.waitUntilFinished(events, WAIT_MS))
    },
    async chain() {
      const second = { ...job('after', {}), children: [job('noop')] }
      const { job: third } = await flows.add({ ...job('after', {}), children: [second] })
      expectPayload(await third.waitUntilFinished(events, WAIT_MS))
    },
    async fan() {
      const added = await queue.add('fan', { isJoin: false })
      expectPayload(await added.waitUntilFinished(events, WAIT_MS))
    },
    settings: {
      redis: `appendonly yes, appendfsync ${variant}`,
      worker: `one process, concurrency ${CONCURRENCY}, completed jobs are kept`,
      P1: 'queue.addBulk of all at once',
      'P2–P4':
        'job.waitUntilFinished; P3: one flow of three jobs; P4: a job that adds 100 children with addBulk and moveToWaitingChildren',
    },
    async stop() {
      await worker.stop()
      await Promise.all([queue.close(), flows.close(), events.close()])
      // It leaves open what it was given.
      for (const connection of connections) connection.disconnect()
    },
  }
}
