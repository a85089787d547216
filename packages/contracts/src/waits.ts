import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import { idempotencyHeaders } from './idempotency.ts'
import { Id } from './ids.ts'
import { IdParams, Json } from './common.ts'
import { Approvers, approvalTerms } from './approvals.ts'
import { StepName } from './journal.ts'
import { defineRoute } from './route.ts'

const closed = { additionalProperties: false } as const

/** The longest that a wait can last: ten years. */
export const WAIT_MAX_MS = 315_360_000_000

/** Names that people give to signals. */
export const SignalName = Type.String({ minLength: 1, maxLength: 200, pattern: '^[A-Za-z0-9][A-Za-z0-9._:/-]*$' })

/** What an attempt waits for that has ended with the outcome `waiting`. Its result is the step `wait:<name>` of the next attempt. */
export const Wait = Type.Union(
  [
    Type.Object(
      {
        kind: Type.Literal('timer'),
        name: StepName,
        delayMs: Type.Integer({ minimum: 0, maximum: WAIT_MAX_MS, description: 'from the moment this is taken' }),
      },
      closed,
    ),
    Type.Object(
      {
        kind: Type.Literal('signal'),
        name: StepName,
        signal: SignalName,
        timeoutMs: Type.Optional(Type.Integer({ minimum: 0, maximum: WAIT_MAX_MS })),
      },
      closed,
    ),
    Type.Object(
      {
        kind: Type.Literal('approval'),
        name: StepName,
        ...approvalTerms,
        data: Type.Optional(Type.Unknown({ description: 'what is shown and approved' })),
        deadlineMs: Type.Optional(Type.Integer({ minimum: 1, maximum: WAIT_MAX_MS })),
        escalate: Type.Optional(
          Type.Object({ afterMs: Type.Integer({ minimum: 1, maximum: WAIT_MAX_MS }), approvers: Approvers }, closed),
        ),
      },
      closed,
    ),
  ],
  { $id: 'Wait' },
)
export type Wait = Static<typeof Wait>

/** The step in which the result of a wait stands. The colon keeps it apart from the steps of a handler. */
export const waitStep = (name: string): string => `wait:${name}`

export const SendSignal = Type.Object(
  {
    name: SignalName,
    task: Type.Optional(Type.String({ maxLength: 100, description: 'only for the task with this key' })),
    payload: Type.Optional(Json),
  },
  { $id: 'SendSignal', additionalProperties: false },
)
export type SendSignal = Static<typeof SendSignal>

export const SignalAnswer = Type.Object(
  {
    id: Id,
    taskId: Type.Optional(
      Type.Unsafe<Id>({ ...Id, description: 'the task that took it; absent while it is kept for one that will wait' }),
    ),
  },
  { $id: 'SignalAnswer', additionalProperties: false },
)
export type SignalAnswer = Static<typeof SignalAnswer>

export const signalMission = defineRoute({
  service: 'crew-orchestrator',
  tag: 'missions',
  operationId: 'signalMission',
  method: 'POST',
  path: '/v1/missions/{id}:signal',
  summary: 'Give a signal to the task that has waited longest for it; one that comes before its wait is kept',
  access: ['mission:write'],
  params: IdParams,
  headers: Type.Object(idempotencyHeaders),
  body: SendSignal,
  answers: { 200: SignalAnswer, 202: SignalAnswer },
})
