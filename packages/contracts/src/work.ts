import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import { SkillId } from './agents.ts'
import { Json, Name } from './common.ts'
import { fence } from './fence.ts'
import { Id } from './ids.ts'
import { StepRecord } from './journal.ts'
import { defineRoute } from './route.ts'
import { StringEnum } from './string-enum.ts'
import { TaskError, TaskState } from './tasks.ts'
import { Wait } from './waits.ts'

const closed = { additionalProperties: false } as const
const { incarnation, attempt } = fence

export const ClaimRequest = Type.Object(
  {
    claimId: Type.Unsafe<Id>({ ...Id, description: 'made by the agent; a repeat gets the same attempts again' }),
    incarnation,
    max: Type.Integer({ minimum: 1, maximum: 1000, description: 'free slots' }),
    waitMs: Type.Optional(Type.Integer({ minimum: 0, maximum: 30_000, default: 0 })),
    skills: Type.Optional(
      Type.Array(SkillId, {
        minItems: 1,
        maxItems: 64,
        uniqueItems: true,
        description: 'only these of the skills that the instance registered',
      }),
    ),
  },
  { $id: 'ClaimRequest', additionalProperties: false },
)
export type ClaimRequest = Static<typeof ClaimRequest>

export const ClaimedTask = Type.Object(
  {
    taskId: Id,
    missionId: Id,
    tenantId: Id,
    crew: Name,
    key: Type.String(),
    skill: SkillId,
    attempt,
    maxAttempts: Type.Integer(),
    input: Json,
    leaseMs: Type.Integer(),
    attemptTimeoutMs: Type.Optional(Type.Integer({ description: 'time left for this attempt' })),
    /** Why the attempt before this one did not succeed. */
    previousError: Type.Optional(TaskError),
    correlationId: Type.String(),
    traceparent: Type.Optional(Type.String()),
    steps: Type.Array(StepRecord, { description: 'journal of earlier attempts' }),
  },
  { $id: 'ClaimedTask', additionalProperties: false },
)
export type ClaimedTask = Static<typeof ClaimedTask>

export const ClaimAnswer = Type.Object(
  { tasks: Type.Array(ClaimedTask) },
  { $id: 'ClaimAnswer', additionalProperties: false },
)
export type ClaimAnswer = Static<typeof ClaimAnswer>

export const CompletionReport = Type.Object(
  {
    taskId: Id,
    attempt,
    outcome: StringEnum(['completed', 'failed', 'rejected', 'canceled', 'released', 'waiting'], {
      description:
        'released gives the task back unharmed, as on drain; canceled confirms a cancel; rejected refuses it for good; waiting lets go of the slot until `wait` is over',
    }),
    output: Type.Optional(Json),
    wait: Type.Optional(Wait),
    error: Type.Optional(
      Type.Object(
        {
          ...TaskError.properties,
          retryable: Type.Boolean(),
          retryAfterMs: Type.Optional(Type.Integer({ minimum: 0, maximum: 86_400_000 })),
        },
        closed,
      ),
    ),
  },
  { $id: 'CompletionReport', additionalProperties: false },
)
export type CompletionReport = Static<typeof CompletionReport>

export const CompletionRequest = Type.Object(
  { incarnation, results: Type.Array(CompletionReport, { minItems: 1, maxItems: 1000 }) },
  { $id: 'CompletionRequest', additionalProperties: false },
)
export type CompletionRequest = Static<typeof CompletionRequest>

export const CompletionAnswer = Type.Object(
  {
    results: Type.Array(
      Type.Object(
        {
          taskId: Id,
          attempt,
          status: StringEnum(['accepted', 'replayed', 'stale'], {
            description: 'stale: the attempt is fenced and nothing was changed',
          }),
          state: Type.Optional(TaskState),
        },
        closed,
      ),
    ),
  },
  { $id: 'CompletionAnswer', additionalProperties: false },
)
export type CompletionAnswer = Static<typeof CompletionAnswer>

const orchestrator = { service: 'crew-orchestrator', tag: 'tasks' } as const

export const claimTasks = defineRoute({
  ...orchestrator,
  operationId: 'claimTasks',
  hot: true,
  method: 'POST',
  path: '/v1/claims',
  summary: 'Long poll for work: leases up to `max` tasks that the calling instance has the skills for',
  access: ['task:claim'],
  body: ClaimRequest,
  answers: { 200: ClaimAnswer },
  longLived: true,
})

export const completeTasks = defineRoute({
  ...orchestrator,
  operationId: 'completeTasks',
  hot: true,
  method: 'POST',
  path: '/v1/completions',
  summary: 'Report the end of attempts; 409 stale_attempt when none of them is current any more',
  access: ['task:claim'],
  body: CompletionRequest,
  bodyLimitBytes: 4 * 1024 * 1024,
  answers: { 200: CompletionAnswer },
})
