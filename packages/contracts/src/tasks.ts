import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import { SkillId } from './agents.ts'
import { IdParams, Json, Page, Timestamp } from './common.ts'
import { Id } from './ids.ts'
import { defineRoute } from './route.ts'
import { StringEnum } from './string-enum.ts'
import { Verification } from './verification.ts'

export const TASK_STATES = [
  'blocked',
  'scheduled',
  'queued',
  'executing',
  'waiting',
  'input_required',
  'verifying',
  'paused',
  'completed',
  'failed',
  'canceled',
  'rejected',
  'skipped',
] as const
export const TaskState = StringEnum(TASK_STATES)
export type TaskState = Static<typeof TaskState>

const closed = { additionalProperties: false } as const

/** Why an attempt, a task or a mission did not succeed. `code` is what retry policies look at. */
export const TaskError = Type.Object(
  {
    code: Type.String({ minLength: 1, maxLength: 100 }),
    message: Type.String({ maxLength: 8000 }),
    taskId: Type.Optional(Id),
  },
  { $id: 'TaskError', additionalProperties: false },
)
export type TaskError = Static<typeof TaskError>

export const Task = Type.Object(
  {
    id: Id,
    missionId: Id,
    key: Type.String({ description: 'id in the manifest; with [n] for an element of forEach' }),
    state: TaskState,
    reason: Type.Optional(Type.String({ description: 'why it is in this state, where that is not obvious' })),
    skill: SkillId,
    priority: Type.Integer(),
    attempt: Type.Integer({ description: 'number of the latest attempt, 0 before the first' }),
    maxAttempts: Type.Integer(),
    input: Type.Optional(Json),
    output: Type.Optional(Json),
    error: Type.Optional(TaskError),
    verification: Type.Optional(Verification),
    progress: Type.Optional(Type.Object({ fraction: Type.Number(), message: Type.Optional(Type.String()) }, closed)),
    agentInstanceId: Type.Optional(Id),
    availableAt: Type.Optional(Timestamp),
    leaseExpiresAt: Type.Optional(Timestamp),
    createdAt: Timestamp,
    startedAt: Type.Optional(Timestamp),
    endedAt: Type.Optional(Timestamp),
    version: Type.Integer(),
  },
  { $id: 'Task', additionalProperties: false },
)
export type Task = Static<typeof Task>

export const TaskPage = Page(Task, 'TaskPage')

export const getTask = defineRoute({
  service: 'crew-orchestrator',
  tag: 'tasks',
  operationId: 'getTask',
  method: 'GET',
  path: '/v1/tasks/{id}',
  summary: 'Read one task',
  access: ['mission:read'],
  params: IdParams,
  answers: { 200: Task },
})
