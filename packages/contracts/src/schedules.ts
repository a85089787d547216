import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import { IdParams, Json, Labels, Name, Page, Timestamp, pageQuery } from './common.ts'
import { Duration } from './duration.ts'
import { Id } from './ids.ts'
import { Mission } from './missions.ts'
import { defineRoute } from './route.ts'
import { StringEnum } from './string-enum.ts'
import { TaskError } from './tasks.ts'

export const OVERLAPS = ['skip', 'bufferOne', 'allowAll', 'cancelOther'] as const
export const Overlap = StringEnum(OVERLAPS, {
  description:
    'when the mission before is still open: skip this instant; begin one mission when it has ended; begin at once; cancel it and begin at once',
})
export type Overlap = Static<typeof Overlap>

export const ScheduleSpec = Type.Object(
  {
    name: Name,
    crew: Type.String({
      pattern: '^[a-z0-9][a-z0-9-]{0,62}(@[1-9][0-9]{0,8})?$',
      description: 'name of a stored crew, or name@version',
    }),
    cron: Type.String({
      pattern: '^[^\\s]+( [^\\s]+){4}$',
      maxLength: 200,
      description: 'five fields: minute, hour, day of the month, month, day of the week',
    }),
    timeZone: Type.Optional(
      Type.String({
        maxLength: 64,
        pattern: '^[A-Za-z0-9_+/-]+$',
        default: 'UTC',
        description: 'IANA name, as Europe/Berlin',
      }),
    ),
    input: Type.Optional(Json),
    priority: Type.Optional(Type.Integer({ minimum: -100, maximum: 100, default: 0 })),
    labels: Type.Optional(Labels),
    overlap: Type.Optional(Overlap),
    catchUp: Type.Optional(
      Type.Unsafe<string>({
        ...Duration,
        description: 'an instant that nobody could serve is served up to so much later; 1m, at least 10s',
      }),
    ),
    jitter: Type.Optional(
      Type.Unsafe<string>({
        ...Duration,
        description: 'each instant is put off by a part of this, the same one for all who look',
      }),
    ),
  },
  { $id: 'ScheduleSpec', additionalProperties: false },
)
export type ScheduleSpec = Static<typeof ScheduleSpec>

export const Schedule = Type.Object(
  {
    id: Id,
    ...ScheduleSpec.properties,
    timeZone: Type.String(),
    overlap: Overlap,
    paused: Type.Boolean(),
    pausedBy: Type.Optional(Type.String()),
    nextAt: Type.Optional(
      Type.Unsafe<string>({ ...Timestamp, description: 'the next instant, before jitter; absent while it is paused' }),
    ),
    bufferedAt: Type.Optional(
      Type.Unsafe<string>({ ...Timestamp, description: 'an instant that waits for the mission before to end' }),
    ),
    lastAt: Type.Optional(
      Type.Unsafe<string>({ ...Timestamp, description: 'the last instant for which a mission was begun' }),
    ),
    lastMissionId: Type.Optional(Id),
    lastError: Type.Optional(TaskError),
    started: Type.Integer({ description: 'missions that it has begun' }),
    skipped: Type.Integer({
      description: 'times that instants were left out, for overlap, for being too late, or for an error',
    }),
    createdBy: Type.String(),
    createdAt: Timestamp,
  },
  { $id: 'Schedule', additionalProperties: false },
)
export type Schedule = Static<typeof Schedule>

const schedules = { service: 'crew-orchestrator', tag: 'schedules' } as const

export const createSchedule = defineRoute({
  ...schedules,
  operationId: 'createSchedule',
  method: 'POST',
  path: '/v1/schedules',
  summary: 'Begin a mission of a stored crew at the instants of a cron expression; exactly one for each instant',
  access: ['mission:write'],
  body: ScheduleSpec,
  answers: { 201: Schedule },
})

export const listSchedules = defineRoute({
  ...schedules,
  operationId: 'listSchedules',
  method: 'GET',
  path: '/v1/schedules',
  summary: 'List schedules, newest first',
  access: ['mission:read'],
  query: Type.Object(pageQuery, { additionalProperties: false }),
  answers: { 200: Page(Schedule, 'SchedulePage') },
})

export const getSchedule = defineRoute({
  ...schedules,
  operationId: 'getSchedule',
  method: 'GET',
  path: '/v1/schedules/{id}',
  summary: 'Read one schedule',
  access: ['mission:read'],
  params: IdParams,
  answers: { 200: Schedule },
})

export const updateSchedule = defineRoute({
  ...schedules,
  operationId: 'updateSchedule',
  method: 'PUT',
  path: '/v1/schedules/{id}',
  summary: 'Replace what a schedule says; its next instant is counted from now',
  access: ['mission:write'],
  params: IdParams,
  body: ScheduleSpec,
  answers: { 200: Schedule },
})

export const deleteSchedule = defineRoute({
  ...schedules,
  operationId: 'deleteSchedule',
  method: 'DELETE',
  path: '/v1/schedules/{id}',
  summary: 'Take a schedule away; missions that it began go on',
  access: ['mission:write'],
  params: IdParams,
  answers: { 204: null },
})

export const pauseSchedule = defineRoute({
  ...schedules,
  operationId: 'pauseSchedule',
  method: 'POST',
  path: '/v1/schedules/{id}:pause',
  summary: 'Begin no more missions until it is resumed',
  access: ['mission:write'],
  params: IdParams,
  answers: { 200: Schedule },
})

export const resumeSchedule = defineRoute({
  ...schedules,
  operationId: 'resumeSchedule',
  method: 'POST',
  path: '/v1/schedules/{id}:resume',
  summary: 'Go on with the next instant from now; those of the pause are not made up for',
  access: ['mission:write'],
  params: IdParams,
  answers: { 200: Schedule },
})

export const triggerSchedule = defineRoute({
  ...schedules,
  operationId: 'triggerSchedule',
  method: 'POST',
  path: '/v1/schedules/{id}:trigger',
  summary: 'Begin a mission now, whatever the cron expression and the overlap policy say',
  access: ['mission:write'],
  params: IdParams,
  answers: { 202: Mission },
})
