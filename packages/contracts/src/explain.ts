import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import { IdParams, Timestamp } from './common.ts'
import { Id } from './ids.ts'
import { defineRoute } from './route.ts'
import { StringEnum } from './string-enum.ts'
import { TaskState } from './tasks.ts'

const closed = { additionalProperties: false } as const

/** Everything that can keep a task from running, in the order in which it is passed. */
export const GATES = [
  'budget',
  'mission',
  'dependencies',
  'children',
  'schedule',
  'wait',
  'approval',
  'verification',
  'attempts',
  'queue',
  'queueLimit',
  'concurrency',
  'skills',
  'pool',
  'blueprint',
  'agents',
  'slots',
  'lease',
] as const

export const Gate = Type.Object(
  {
    gate: StringEnum(GATES),
    status: StringEnum(['pass', 'wait', 'fail'], {
      description: 'wait: opens by itself or by the work of others; fail: stays shut until somebody does something',
    }),
    detail: Type.String({ description: 'in one sentence' }),
    holders: Type.Optional(
      Type.Array(
        Type.Object(
          {
            kind: StringEnum(['task', 'mission', 'instance', 'deadLetter', 'approval']),
            id: Id,
            name: Type.Optional(Type.String()),
          },
          closed,
        ),
        { description: 'what keeps it shut, the first of them' },
      ),
    ),
    since: Type.Optional(Timestamp),
    expectedAt: Type.Optional(
      Type.Unsafe<string>({ ...Timestamp, description: 'when it opens at the latest, where that is known' }),
    ),
    command: Type.Optional(
      Type.Object(
        { method: Type.String(), path: Type.String() },
        { ...closed, description: 'what opens it, or says more' },
      ),
    ),
  },
  { $id: 'Gate', additionalProperties: false },
)
export type Gate = Static<typeof Gate>

export const Explanation = Type.Object(
  {
    taskId: Id,
    missionId: Id,
    key: Type.String(),
    state: TaskState,
    verdict: StringEnum(['claimable', 'waiting', 'running', 'ended'], {
      description: 'claimable: the next claim of a fitting agent gets it, unless another task comes before it',
    }),
    summary: Type.String({ description: 'the first gate that is shut, or that none is' }),
    gates: Type.Array(Gate),
    at: Type.Unsafe<string>({ ...Timestamp, description: 'the instant of which all of this is true' }),
  },
  { $id: 'Explanation', additionalProperties: false },
)
export type Explanation = Static<typeof Explanation>

export const explainTask = defineRoute({
  service: 'crew-orchestrator',
  tag: 'tasks',
  operationId: 'explainTask',
  method: 'GET',
  path: '/v1/tasks/{id}:explain',
  summary: 'Why a task is not running: every gate with who holds it, since when, until when, and what would open it',
  access: ['mission:read'],
  params: IdParams,
  answers: { 200: Explanation },
})
