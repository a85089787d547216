import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import { SkillId } from './agents.ts'
import { IdParams, Json, Name, Page, Timestamp, pageQuery } from './common.ts'
import { Id } from './ids.ts'
import { defineRoute } from './route.ts'
import { StringEnum } from './string-enum.ts'

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

const incarnation = Type.Integer({
  minimum: 1,
  description: 'of the registration; the instance itself comes from the token',
})
const attempt = Type.Integer({ minimum: 1 })

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

export const StepRecord = Type.Object(
  { name: Type.String(), requestHash: Type.Optional(Type.String()), response: Json },
  { $id: 'StepRecord', additionalProperties: false },
)
export type StepRecord = Static<typeof StepRecord>

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
    outcome: StringEnum(['completed', 'failed', 'rejected', 'canceled', 'released'], {
      description:
        'released gives the task back unharmed, as on drain; canceled confirms a cancel; rejected refuses it for good',
    }),
    output: Type.Optional(Json),
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

export const RecordStep = Type.Object(
  { incarnation, attempt, requestHash: Type.Optional(Type.String({ maxLength: 128 })), response: Json },
  { $id: 'RecordStep', additionalProperties: false },
)
export type RecordStep = Static<typeof RecordStep>

export const ReportProgress = Type.Object(
  {
    incarnation,
    attempt,
    fraction: Type.Number({ minimum: 0, maximum: 1 }),
    message: Type.Optional(Type.String({ maxLength: 500 })),
  },
  { $id: 'ReportProgress', additionalProperties: false },
)
export type ReportProgress = Static<typeof ReportProgress>

export const Artifact = Type.Object(
  {
    id: Id,
    taskId: Id,
    taskKey: Type.String(),
    name: Type.String(),
    mediaType: Type.String(),
    sizeBytes: Type.Integer(),
    sha256: Type.String(),
    attempt: Type.Integer(),
    createdAt: Timestamp,
  },
  { $id: 'Artifact', additionalProperties: false },
)
export type Artifact = Static<typeof Artifact>

/** A step stands in a path as one segment, and URL parsers take the segments `.` and `..` away. */
export const StepName = Type.String({
  minLength: 1,
  maxLength: 200,
  pattern: '^(?!\\.{1,2}$)[A-Za-z0-9._\\[\\]#/ -]+$',
})
export const ArtifactName = Type.String({ minLength: 1, maxLength: 200, pattern: '^[A-Za-z0-9][A-Za-z0-9._-]*$' })

/** Largest artifact that a task can store. */
export const ARTIFACT_MAX_BYTES = 8 * 1024 * 1024

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

export const getTask = defineRoute({
  ...orchestrator,
  operationId: 'getTask',
  method: 'GET',
  path: '/v1/tasks/{id}',
  summary: 'Read one task',
  access: ['mission:read'],
  params: IdParams,
  answers: { 200: Task },
})

export const recordStep = defineRoute({
  ...orchestrator,
  operationId: 'recordStep',
  hot: true,
  method: 'PUT',
  path: '/v1/tasks/{id}/steps/{name}',
  summary: 'Journal the result of a step under the fence; the first result of a name stays',
  access: ['task:claim'],
  params: Type.Object({ id: Id, name: StepName }, closed),
  body: RecordStep,
  answers: { 200: StepRecord, 201: StepRecord },
})

export const reportProgress = defineRoute({
  ...orchestrator,
  operationId: 'reportProgress',
  hot: true,
  method: 'POST',
  path: '/v1/tasks/{id}/progress',
  summary: 'Tell how far the attempt is; also restarts its heartbeat time-out',
  access: ['task:claim'],
  params: IdParams,
  body: ReportProgress,
  answers: { 204: null },
})

export const putArtifact = defineRoute({
  ...orchestrator,
  operationId: 'putArtifact',
  method: 'PUT',
  path: '/v1/tasks/{id}/artifacts/{name}',
  summary: 'Store an artifact of the attempt under the fence; the same name again replaces it',
  access: ['task:claim'],
  params: Type.Object({ id: Id, name: ArtifactName }, closed),
  query: Type.Object({ incarnation, attempt }, closed),
  consumes: ['*/*'],
  bodyLimitBytes: ARTIFACT_MAX_BYTES,
  answers: { 200: Artifact, 201: Artifact },
})

export const getArtifact = defineRoute({
  ...orchestrator,
  operationId: 'getArtifact',
  method: 'GET',
  path: '/v1/tasks/{id}/artifacts/{name}',
  summary: 'Read an artifact as it was stored',
  access: ['mission:read'],
  params: Type.Object({ id: Id, name: ArtifactName }, closed),
  answers: { 200: null },
  produces: '*/*',
})

export const DeadLetter = Type.Object(
  {
    id: Id,
    taskId: Id,
    missionId: Id,
    key: Type.String(),
    error: TaskError,
    attempts: Type.Array(
      Type.Object(
        {
          attempt,
          outcome: Type.String(),
          startedAt: Timestamp,
          endedAt: Type.Optional(Timestamp),
          error: Type.Optional(TaskError),
          agentInstanceId: Type.Optional(Id),
        },
        closed,
      ),
    ),
    createdAt: Timestamp,
    resolution: Type.Optional(StringEnum(['replayed', 'discarded'])),
    resolvedAt: Type.Optional(Timestamp),
    resolvedBy: Type.Optional(Type.String()),
  },
  { $id: 'DeadLetter', additionalProperties: false },
)
export type DeadLetter = Static<typeof DeadLetter>

const deadLetters = { service: 'crew-orchestrator', tag: 'dead letters' } as const

export const listDeadLetters = defineRoute({
  ...deadLetters,
  operationId: 'listDeadLetters',
  method: 'GET',
  path: '/v1/dead-letters',
  summary: 'List tasks that used up their attempts, newest first',
  access: ['deadletter:write'],
  query: Type.Object(
    {
      ...pageQuery,
      missionId: Type.Optional(Id),
      open: Type.Optional(Type.Boolean({ description: 'only those without a resolution' })),
    },
    closed,
  ),
  answers: { 200: Page(DeadLetter, 'DeadLetterPage') },
})

export const getDeadLetter = defineRoute({
  ...deadLetters,
  operationId: 'getDeadLetter',
  method: 'GET',
  path: '/v1/dead-letters/{id}',
  summary: 'Read one dead letter with the record of every attempt',
  access: ['deadletter:write'],
  params: IdParams,
  answers: { 200: DeadLetter },
})

export const replayDeadLetter = defineRoute({
  ...deadLetters,
  operationId: 'replayDeadLetter',
  method: 'POST',
  path: '/v1/dead-letters/{id}:replay',
  summary: 'Queue the paused task again with a fresh set of attempts',
  access: ['deadletter:write'],
  params: IdParams,
  answers: { 200: DeadLetter },
})

export const discardDeadLetter = defineRoute({
  ...deadLetters,
  operationId: 'discardDeadLetter',
  method: 'POST',
  path: '/v1/dead-letters/{id}:discard',
  summary: 'Give the task up: a paused one fails, and the letter is closed',
  access: ['deadletter:write'],
  params: IdParams,
  answers: { 200: DeadLetter },
})
