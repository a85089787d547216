import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import { IdParams } from './common.ts'
import { defineRoute } from './route.ts'
import { Task } from './tasks.ts'

/** Why a person steps in. */
export const OperateTask = Type.Object(
  { reason: Type.Optional(Type.String({ maxLength: 1000 })) },
  { $id: 'OperateTask', additionalProperties: false },
)
export type OperateTask = Static<typeof OperateTask>

const operation = {
  service: 'crew-orchestrator',
  tag: 'tasks',
  method: 'POST',
  params: IdParams,
  body: Type.Optional(OperateTask),
  answers: { 200: Task },
} as const

export const cancelTask = defineRoute({
  ...operation,
  operationId: 'cancelTask',
  path: '/v1/tasks/{id}:cancel',
  summary: 'End one task; an attempt that runs is fenced at once, and the mission goes on as after a failure',
  access: ['mission:cancel'],
})

export const retryTask = defineRoute({
  ...operation,
  operationId: 'retryTask',
  path: '/v1/tasks/{id}:retry',
  summary: 'Let a paused task go on with a fresh set of attempts, or one that waits for its back-off now',
  access: ['mission:write'],
})

export const skipTask = defineRoute({
  ...operation,
  operationId: 'skipTask',
  path: '/v1/tasks/{id}:skip',
  summary: 'Leave out a task that does not run; its output is null, and what waits for it goes on',
  access: ['mission:write'],
})
