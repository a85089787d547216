import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import { IdParams } from './common.ts'
import { ManifestTask } from './crews.ts'
import { fence } from './fence.ts'
import { Id } from './ids.ts'
import { StepName } from './journal.ts'
import { defineRoute } from './route.ts'
import { TaskError, TaskState } from './tasks.ts'

const { incarnation, attempt } = fence

export const PlanTasks = Type.Object(
  {
    taskId: Type.Unsafe<Id>({ ...Id, description: 'the running task of the manager' }),
    incarnation,
    attempt,
    name: StepName,
    tasks: Type.Array(ManifestTask, { minItems: 1, maxItems: 100 }),
  },
  { $id: 'PlanTasks', additionalProperties: false },
)
export type PlanTasks = Static<typeof PlanTasks>

export const PlannedTasks = Type.Object(
  { taskIds: Type.Array(Id) },
  { $id: 'PlannedTasks', additionalProperties: false },
)
export type PlannedTasks = Static<typeof PlannedTasks>

/** How a planned task has ended, as its manager is told: the payload of the step `wait:<name>` has them as `planned`. */
export const PlannedResult = Type.Object(
  { key: Type.String(), state: TaskState, output: Type.Unknown(), error: Type.Optional(TaskError) },
  { $id: 'PlannedResult', additionalProperties: false },
)
export type PlannedResult = Static<typeof PlannedResult>

export const planTasks = defineRoute({
  service: 'crew-orchestrator',
  tag: 'missions',
  operationId: 'planTasks',
  method: 'POST',
  path: '/v1/missions/{id}/tasks',
  summary:
    'Plan tasks into the running mission of a hierarchical crew, by its manager under its fence; its attempt ends here, and another one goes on when they have ended',
  access: ['task:claim'],
  params: IdParams,
  body: PlanTasks,
  bodyLimitBytes: 1024 * 1024,
  answers: { 200: PlannedTasks, 201: PlannedTasks },
})
