import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import { IdParams, Json, Timestamp } from './common.ts'
import { fence } from './fence.ts'
import { Id } from './ids.ts'
import { defineRoute } from './route.ts'

const closed = { additionalProperties: false } as const
const { incarnation, attempt } = fence

export const StepRecord = Type.Object(
  { name: Type.String(), requestHash: Type.Optional(Type.String()), response: Json },
  { $id: 'StepRecord', additionalProperties: false },
)
export type StepRecord = Static<typeof StepRecord>

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
