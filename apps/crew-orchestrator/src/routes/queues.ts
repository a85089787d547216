import { ROUTES } from '@hypercode/contracts'
import type { Queue } from '@hypercode/contracts'
import { implement, pageOf } from '@hypercode/http'
import type { Principal, ServiceApp } from '@hypercode/http'
import type { Engine } from '../engine/engine.ts'
import { limitQueue, pauseQueue, resumeQueue } from '../engine/queues.ts'
import type { QueueOrder } from '../engine/queues.ts'
import { listQueues } from '../store/queues.ts'

export function queueRoutes(app: ServiceApp, engine: Engine): void {
  const show = async ({ tenantId, queue }: QueueOrder): Promise<Queue> => {
    const [found] = await listQueues(engine.db, tenantId, { limit: 1, only: queue })
    return found as Queue
  }

  implement(app, ROUTES.listQueues, async (request) => {
    const { limit = 50, cursor } = request.query
    const rows = await listQueues(engine.db, request.principal.tenantId, { limit: limit + 1, cursor })
    return pageOf({ rows, cut: false }, limit, (queue) => queue.queue)
  })

  implement(app, ROUTES.pauseQueue, async (request) => {
    const order = orderOf(request.principal, request.params.queue)
    engine.after(await pauseQueue(engine.urgentDb, order))
    return await show(order)
  })

  implement(app, ROUTES.resumeQueue, async (request) => {
    const order = orderOf(request.principal, request.params.queue)
    engine.after(await resumeQueue(engine.urgentDb, order))
    return await show(order)
  })

  implement(app, ROUTES.limitQueue, async (request) => {
    const order = orderOf(request.principal, request.params.queue)
    engine.after(await limitQueue(engine.urgentDb, order, request.body.maxExecuting))
    return await show(order)
  })
}

const orderOf = ({ tenantId, subject }: Principal, queue: string): QueueOrder => ({ tenantId, actor: subject, queue })
