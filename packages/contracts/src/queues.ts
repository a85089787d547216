import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import { pageQuery, Page, Timestamp } from './common.ts'
import { defineRoute } from './route.ts'

const closed = { additionalProperties: false } as const

/** A skill, or a skill of a pool: `code.edit`, `code.edit@gym-7`. */
export const QueueName = Type.String({
  pattern: '^[a-z0-9][a-z0-9-]*(\\.[a-z0-9][a-z0-9-]*)*(@[a-z0-9][a-z0-9-]{0,62})?$',
  maxLength: 164,
})

export const Queue = Type.Object(
  {
    queue: QueueName,
    paused: Type.Boolean(),
    pausedAt: Type.Optional(Timestamp),
    pausedBy: Type.Optional(Type.String()),
    maxExecuting: Type.Optional(
      Type.Integer({ description: 'no claim brings the number of executing tasks above this' }),
    ),
    depth: Type.Integer({ description: 'tasks that are queued, counted up to 100,000' }),
    oldestQueuedAt: Type.Optional(Timestamp),
    oldestAgeMs: Type.Optional(Type.Integer({ minimum: 0 })),
    executing: Type.Integer(),
  },
  { $id: 'Queue', additionalProperties: false },
)
export type Queue = Static<typeof Queue>

const QueueParams = Type.Object({ queue: QueueName }, closed)
const queues = { service: 'crew-orchestrator', tag: 'queues' } as const

export const listQueues = defineRoute({
  ...queues,
  operationId: 'listQueues',
  method: 'GET',
  path: '/v1/queues',
  summary:
    'List the queues that hold tasks or have settings, by name: depth, age of the oldest task, executing, paused',
  access: ['mission:read'],
  query: Type.Object(pageQuery, closed),
  answers: { 200: Page(Queue, 'QueuePage') },
})

export const pauseQueue = defineRoute({
  ...queues,
  operationId: 'pauseQueue',
  method: 'POST',
  path: '/v1/queues/{queue}:pause',
  summary: 'Pause a queue: no task of it is begun until it is resumed; what runs goes on',
  access: ['mission:write'],
  params: QueueParams,
  answers: { 200: Queue },
})

export const resumeQueue = defineRoute({
  ...queues,
  operationId: 'resumeQueue',
  method: 'POST',
  path: '/v1/queues/{queue}:resume',
  summary: 'Resume a paused queue',
  access: ['mission:write'],
  params: QueueParams,
  answers: { 200: Queue },
})

export const limitQueue = defineRoute({
  ...queues,
  operationId: 'limitQueue',
  method: 'PUT',
  path: '/v1/queues/{queue}/limits',
  summary: 'Set how many tasks of a queue may execute at once; null takes the limit away',
  access: ['mission:write'],
  params: QueueParams,
  body: Type.Object(
    { maxExecuting: Type.Union([Type.Integer({ minimum: 1, maximum: 1_000_000 }), Type.Null()]) },
    { $id: 'QueueLimits', additionalProperties: false },
  ),
  answers: { 200: Queue },
})
