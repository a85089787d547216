import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import { Budget } from './budget.ts'
import { IdParams, Json, Labels, Name, Page, Timestamp, pageQuery } from './common.ts'
import { IdempotencyKey, idempotencyHeaders } from './idempotency.ts'
import { Id } from './ids.ts'
import { Problem } from './problem.ts'
import { defineRoute } from './route.ts'
import { StringEnum } from './string-enum.ts'
import { Artifact } from './journal.ts'
import { TaskError, TaskPage } from './tasks.ts'

export const MISSION_STATES = ['submitted', 'running', 'paused', 'completed', 'failed', 'canceled'] as const
export const MissionState = StringEnum(MISSION_STATES)
export type MissionState = Static<typeof MissionState>

const closed = { additionalProperties: false } as const

export const SubmitMission = Type.Object(
  {
    crew: Type.Optional(
      Type.String({
        pattern: '^[a-z0-9][a-z0-9-]{0,62}(@[1-9][0-9]{0,8})?$',
        description: 'name of a stored crew, or name@version',
      }),
    ),
    manifest: Type.Optional(
      Type.Unsafe<Record<string, unknown> | string>({
        type: ['object', 'string'],
        description: 'an inline manifest instead of a stored crew: an object, or YAML text',
      }),
    ),
    input: Type.Optional(Json),
    priority: Type.Optional(Type.Integer({ minimum: -100, maximum: 100, default: 0 })),
    labels: Type.Optional(Labels),
    budget: Type.Optional(Budget),
  },
  { $id: 'SubmitMission', additionalProperties: false },
)
export type SubmitMission = Static<typeof SubmitMission>

export const SubmitBatch = Type.Object(
  {
    missions: Type.Array(
      Type.Object({ ...SubmitMission.properties, idempotencyKey: Type.Optional(IdempotencyKey) }, closed),
      { minItems: 1, maxItems: 1000 },
    ),
  },
  { $id: 'SubmitBatch', additionalProperties: false },
)
export type SubmitBatch = Static<typeof SubmitBatch>

export const TaskCounts = Type.Object(
  { total: Type.Integer(), open: Type.Integer() },
  { $id: 'TaskCounts', additionalProperties: false },
)

export const Mission = Type.Object(
  {
    id: Id,
    crew: Name,
    crewVersion: Type.Optional(Type.Integer()),
    state: MissionState,
    input: Json,
    output: Type.Optional(Type.Unknown({ description: 'outputs of the tasks that nothing depends on, by task key' })),
    error: Type.Optional(TaskError),
    priority: Type.Integer(),
    labels: Labels,
    tasks: TaskCounts,
    parentMissionId: Type.Optional(
      Type.Unsafe<Id>({ ...Id, description: 'the mission that this one does again, by a retry or a fork' }),
    ),
    parentTaskId: Type.Optional(Type.Unsafe<Id>({ ...Id, description: 'the task of another mission that began it' })),
    correlationId: Type.String(),
    createdBy: Type.String(),
    createdAt: Timestamp,
    startedAt: Type.Optional(Timestamp),
    endedAt: Type.Optional(Timestamp),
    deadlineAt: Type.Optional(Timestamp),
    cancelRequestedAt: Type.Optional(Timestamp),
    compensatingAt: Type.Optional(
      Type.Unsafe<string>({ ...Timestamp, description: 'since when it undoes what its tasks have done' }),
    ),
    version: Type.Integer({ description: 'grows with every change' }),
  },
  { $id: 'Mission', additionalProperties: false },
)
export type Mission = Static<typeof Mission>

export const MissionPage = Page(Mission, 'MissionPage')

export const SubmitBatchAnswer = Type.Object(
  {
    results: Type.Array(
      Type.Object(
        {
          id: Type.Optional(Id),
          state: Type.Optional(MissionState),
          replayed: Type.Boolean(),
          problem: Type.Optional(Problem),
        },
        closed,
      ),
      { description: 'one per mission, in the order of the request' },
    ),
  },
  { $id: 'SubmitBatchAnswer', additionalProperties: false },
)
export type SubmitBatchAnswer = Static<typeof SubmitBatchAnswer>

export const JournalEntry = Type.Object(
  {
    taskId: Id,
    key: Type.String(),
    kind: StringEnum(['attempt', 'step']),
    attempt: Type.Integer(),
    name: Type.Optional(Type.String()),
    outcome: Type.Optional(Type.String()),
    agentInstanceId: Type.Optional(Id),
    startedAt: Timestamp,
    endedAt: Type.Optional(Timestamp),
    error: Type.Optional(TaskError),
    response: Type.Optional(Json),
  },
  { $id: 'JournalEntry', additionalProperties: false },
)
export type JournalEntry = Static<typeof JournalEntry>

export const ResumeMission = Type.Object(
  { budget: Type.Optional(Budget) },
  {
    $id: 'ResumeMission',
    additionalProperties: false,
    description:
      'limits of its budget that are raised before it is resumed; also those of a mission that is not paused',
  },
)
export type ResumeMission = Static<typeof ResumeMission>

const submitHeaders = Type.Object({
  ...idempotencyHeaders,
  prefer: Type.Optional(
    Type.String({ maxLength: 200, description: 'wait=N holds the answer until the mission ends, at most N seconds' }),
  ),
})

const orchestrator = { service: 'crew-orchestrator', tag: 'missions' } as const

export const submitMission = defineRoute({
  ...orchestrator,
  operationId: 'submitMission',
  method: 'POST',
  path: '/v1/missions',
  summary: 'Submit a mission; 202 when it is stored, 200 when Prefer: wait saw its end',
  access: ['mission:write'],
  headers: submitHeaders,
  body: SubmitMission,
  answers: { 200: Mission, 202: Mission },
  longLived: true,
})

export const submitMissions = defineRoute({
  ...orchestrator,
  operationId: 'submitMissions',
  method: 'POST',
  path: '/v1/missions:batch',
  summary: 'Submit up to 1,000 missions; each stands for itself',
  access: ['mission:write'],
  body: SubmitBatch,
  bodyLimitBytes: 4 * 1024 * 1024,
  answers: { 200: SubmitBatchAnswer },
})

export const listMissions = defineRoute({
  ...orchestrator,
  operationId: 'listMissions',
  method: 'GET',
  path: '/v1/missions',
  summary: 'List and search missions, newest first',
  access: ['mission:read'],
  query: Type.Object(
    {
      ...pageQuery,
      state: Type.Optional(MissionState),
      crew: Type.Optional(Name),
      label: Type.Optional(Type.String({ pattern: '^[^=]+=.*$', maxLength: 300 })),
      correlationId: Type.Optional(Type.String({ maxLength: 128 })),
    },
    closed,
  ),
  answers: { 200: MissionPage },
})

export const getMission = defineRoute({
  ...orchestrator,
  operationId: 'getMission',
  method: 'GET',
  path: '/v1/missions/{id}',
  summary: 'Read one mission; Prefer: wait=N holds the answer until it ends',
  access: ['mission:read'],
  params: IdParams,
  headers: Type.Object({ prefer: Type.Optional(Type.String({ maxLength: 200 })) }),
  answers: { 200: Mission },
  longLived: true,
})

export const cancelMission = defineRoute({
  ...orchestrator,
  operationId: 'cancelMission',
  method: 'POST',
  path: '/v1/missions/{id}:cancel',
  summary: 'Cancel: waiting tasks end at once, running ones are told; answers the state that is true afterwards',
  access: ['mission:cancel'],
  params: IdParams,
  body: Type.Optional(
    Type.Object(
      { reason: Type.Optional(Type.String({ maxLength: 1000 })) },
      { $id: 'CancelMission', additionalProperties: false },
    ),
  ),
  answers: { 200: Mission },
})

export const pauseMission = defineRoute({
  ...orchestrator,
  operationId: 'pauseMission',
  method: 'POST',
  path: '/v1/missions/{id}:pause',
  summary:
    'Pause, with the missions within: nothing new is begun, what runs comes to its end, deadlines go on; 409 when it has ended',
  access: ['mission:write'],
  params: IdParams,
  answers: { 200: Mission },
})

export const resumeMission = defineRoute({
  ...orchestrator,
  operationId: 'resumeMission',
  method: 'POST',
  path: '/v1/missions/{id}:resume',
  summary:
    'Resume a paused mission, with a larger budget if need be; 409 when it has ended, its budget is used up, or the mission around it is paused',
  access: ['mission:write'],
  params: IdParams,
  body: Type.Optional(ResumeMission),
  answers: { 200: Mission },
})

export const listMissionTasks = defineRoute({
  ...orchestrator,
  operationId: 'listMissionTasks',
  method: 'GET',
  path: '/v1/missions/{id}/tasks',
  summary: 'List the tasks of a mission in the order in which they were planned',
  access: ['mission:read'],
  params: IdParams,
  query: Type.Object(pageQuery, closed),
  answers: { 200: TaskPage },
})

export const getMissionJournal = defineRoute({
  ...orchestrator,
  operationId: 'getMissionJournal',
  method: 'GET',
  path: '/v1/missions/{id}/journal',
  summary: 'Every attempt and every recorded step of a mission, oldest first',
  access: ['mission:read'],
  params: IdParams,
  query: Type.Object(pageQuery, closed),
  answers: { 200: Page(JournalEntry, 'JournalPage') },
})

export const listMissionArtifacts = defineRoute({
  ...orchestrator,
  operationId: 'listMissionArtifacts',
  method: 'GET',
  path: '/v1/missions/{id}/artifacts',
  summary: 'List the artifacts of a mission',
  access: ['mission:read'],
  params: IdParams,
  query: Type.Object(pageQuery, closed),
  answers: { 200: Page(Artifact, 'ArtifactPage') },
})

export const watchMission = defineRoute({
  service: 'gateway',
  tag: 'missions',
  operationId: 'watchMission',
  method: 'GET',
  path: '/v1/missions/{id}/events',
  summary:
    'Stream of the mission’s events (SSE, CloudEvents); Last-Event-ID resumes without a gap; ends with the mission, 204 when nothing is to come',
  access: ['mission:read'],
  params: IdParams,
  query: Type.Object({ cursor: Type.Optional(Type.Integer({ minimum: 0 })) }, closed),
  answers: { 200: null, 204: null },
  produces: 'text/event-stream',
  longLived: true,
})
