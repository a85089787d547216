import { Queue, WaitingChildrenError, Worker } from 'bullmq'
import type { Job } from 'bullmq'
import { Redis } from 'ioredis'
import { FAN_WIDTH, expectPayload, noop } from '../contender.ts'
import { endWithParent } from '../end-with-parent.ts'

const { REDIS_URL = '', QUEUE = '', CONCURRENCY = '', EVENTS_MAX = '' } = process.env
const open = (): Redis => new Redis(REDIS_URL, { maxRetriesPerRequest: null })
const queue = new Queue(QUEUE, { connection: open(), streams: { events: { maxLen: Number(EVENTS_MAX) } } })

const worker = new Worker(QUEUE, run, { connection: open(), concurrency: Number(CONCURRENCY) })
await Promise.all([queue.waitUntilReady(), worker.waitUntilReady()])
endWithParent(async () => {
  await worker.close()
  await queue.close()
})

async function run(job: Job, token?: string): Promise<unknown> {
  if (job.name === 'noop') return noop()
  if (job.name === 'after') {
    const [before] = Object.values(await job.getChildrenValues())
    expectPayload(before)
    return noop()
  }
  return await fan(job, token ?? '')
}

/** Comes twice: first it adds its children and steps aside, then it joins them. */
async function fan(job: Job, token: string): Promise<unknown> {
  if ((job.data as { isJoin: boolean }).isJoin) return noop()
  const parent = { id: job.id ?? '', queue: job.queueQualifiedName }
  await queue.addBulk(Array.from({ length: FAN_WIDTH }, (_, n) => ({ name: 'noop', data: { n }, opts: { parent } })))
  await job.updateData({ isJoin: true })
  if (await job.moveToWaitingChildren(token)) throw new WaitingChildrenError()
  return noop()
}
