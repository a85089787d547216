import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import { IdParams, Timestamp } from './common.ts'
import { fence } from './fence.ts'
import { Id } from './ids.ts'
import { defineRoute } from './route.ts'

const closed = { additionalProperties: false } as const
const { incarnation, attempt } = fence

const amounts = {
  inputTokens: Type.Integer({ minimum: 0, maximum: 2_000_000_000 }),
  outputTokens: Type.Integer({ minimum: 0, maximum: 2_000_000_000 }),
  usd: Type.Number({ minimum: 0, maximum: 1_000_000 }),
}

/** What one call of a model took. The same key again changes nothing, so a repeated report is counted once. */
export const RecordUsage = Type.Object(
  {
    incarnation,
    attempt,
    key: Type.String({ minLength: 1, maxLength: 200, description: 'names the call within the task' }),
    model: Type.String({ minLength: 1, maxLength: 200 }),
    ...amounts,
  },
  { $id: 'RecordUsage', additionalProperties: false },
)
export type RecordUsage = Static<typeof RecordUsage>

/** What a model said, as it came; it becomes `task.output` events of the mission and is not kept in order of tokens but of time. */
export const StreamOutput = Type.Object(
  { incarnation, attempt, text: Type.String({ minLength: 1, maxLength: 16_384 }) },
  { $id: 'StreamOutput', additionalProperties: false },
)
export type StreamOutput = Static<typeof StreamOutput>

const ModelCosts = Type.Object({ model: Type.String(), calls: Type.Integer(), ...amounts }, closed)
const TaskCosts = Type.Object(
  { taskId: Id, key: Type.String(), calls: Type.Integer(), ...amounts, models: Type.Array(ModelCosts) },
  closed,
)

export const MissionCosts = Type.Object(
  {
    missionId: Id,
    budget: Type.Optional(
      Type.Object(
        {
          tokens: Type.Optional(Type.Integer()),
          usd: Type.Optional(Type.Number()),
          exhaustedAt: Type.Optional(Timestamp),
        },
        { ...closed, description: 'its limits, and since when one of them is reached' },
      ),
    ),
    total: Type.Object(
      { calls: Type.Integer(), ...amounts },
      { ...closed, description: 'what its own tasks used; its budget counts what is used within it as well' },
    ),
    within: Type.Optional(
      Type.Object(
        { missions: Type.Integer(), calls: Type.Integer(), ...amounts },
        { ...closed, description: 'what the missions within it used, near and far; left out when there are none' },
      ),
    ),
    tasks: Type.Array(TaskCosts, { description: 'tasks that used a model, by key; at most 10,000' }),
  },
  { $id: 'MissionCosts', additionalProperties: false },
)
export type MissionCosts = Static<typeof MissionCosts>

const orchestrator = { service: 'crew-orchestrator', tag: 'tasks' } as const

export const recordUsage = defineRoute({
  ...orchestrator,
  operationId: 'recordUsage',
  hot: true,
  method: 'POST',
  path: '/v1/tasks/{id}/usage',
  summary: 'Count tokens and cost of a model call under the fence, once per key',
  access: ['task:claim'],
  params: IdParams,
  body: RecordUsage,
  answers: { 204: null },
})

export const streamOutput = defineRoute({
  ...orchestrator,
  operationId: 'streamOutput',
  hot: true,
  method: 'POST',
  path: '/v1/tasks/{id}/output',
  summary: 'Add text that the attempt brings out to the events of the mission, under the fence',
  access: ['task:claim'],
  params: IdParams,
  body: StreamOutput,
  answers: { 204: null },
})

export const getMissionCosts = defineRoute({
  service: 'crew-orchestrator',
  tag: 'missions',
  operationId: 'getMissionCosts',
  method: 'GET',
  path: '/v1/missions/{id}/costs',
  summary: 'Tokens and cost of a mission, per task and model, and of the missions within it',
  access: ['mission:read'],
  params: IdParams,
  answers: { 200: MissionCosts },
})
