import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import { IdParams, Name } from './common.ts'
import { idempotencyHeaders } from './idempotency.ts'
import { Mission } from './missions.ts'
import { defineRoute } from './route.ts'

export const ForkMission = Type.Object(
  {
    from: Type.Unsafe<string>({ ...Name, description: 'the task to begin at; it and all that waits for it run again' }),
    input: Type.Optional(Type.Unknown({ description: 'another input for that task' })),
  },
  { $id: 'ForkMission', additionalProperties: false },
)
export type ForkMission = Static<typeof ForkMission>

const again = {
  service: 'crew-orchestrator',
  tag: 'missions',
  method: 'POST',
  access: ['mission:write'],
  params: IdParams,
  headers: Type.Object(idempotencyHeaders),
  answers: { 202: Mission },
} as const

export const retryMission = defineRoute({
  ...again,
  operationId: 'retryMission',
  path: '/v1/missions/{id}:retry',
  summary: 'Do a failed or canceled mission again as a new one; its completed tasks are kept',
})

export const forkMission = defineRoute({
  ...again,
  operationId: 'forkMission',
  path: '/v1/missions/{id}:fork',
  summary:
    'Do a mission again from one of its tasks on, as a new one; completed tasks that do not wait for it are kept',
  body: ForkMission,
})
