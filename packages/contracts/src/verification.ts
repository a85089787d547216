import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import { SkillId } from './agents.ts'
import { Approvers, approvalTerms } from './approvals.ts'
import { Json, Timestamp } from './common.ts'
import { Duration } from './duration.ts'
import { Id } from './ids.ts'
import { StringEnum } from './string-enum.ts'

const closed = { additionalProperties: false } as const

/** The skill that a `command` is given to when the manifest names none. */
export const VERIFY_COMMAND_SKILL = 'code.verify'

const maxRounds = Type.Optional(
  Type.Integer({
    minimum: 1,
    maximum: 20,
    description: 'so many outputs may be refused before the task has failed; 3 when left out',
  }),
)

/** What must pass the output of a task before the task is completed, as a manifest says it. */
export const ManifestVerify = Type.Union(
  [
    Type.Object(
      {
        kind: Type.Literal('schema'),
        schema: Type.Optional(Type.Unsafe<object>({ type: 'object', description: 'JSON Schema (2020-12)' })),
        schemaRef: Type.Optional(Type.String({ maxLength: 100, description: '#/schemas/NAME' })),
        maxRounds,
      },
      closed,
    ),
    Type.Object(
      {
        kind: Type.Literal('agent'),
        skill: SkillId,
        input: Type.Optional(Json),
        maxRounds,
      },
      { ...closed, description: 'a task of its own, with this skill, answers { passed, reason }' },
    ),
    Type.Object(
      {
        kind: Type.Literal('command'),
        command: Type.Array(Type.String({ minLength: 1, maxLength: 4000 }), { minItems: 1, maxItems: 100 }),
        skill: Type.Optional(SkillId),
        maxRounds,
      },
      { ...closed, description: 'a task of its own runs the command, and answers { passed, reason }' },
    ),
    Type.Object(
      {
        kind: Type.Literal('human'),
        ...approvalTerms,
        title: Type.Optional(approvalTerms.title),
        deadline: Type.Optional(Duration),
        escalate: Type.Optional(Type.Object({ after: Duration, approvers: Approvers }, closed)),
        maxRounds,
      },
      { ...closed, description: 'people approve, edit or reject the output' },
    ),
  ],
  { description: 'what must pass the output before the task is completed' },
)
export type ManifestVerify = Static<typeof ManifestVerify>

/** Where the verification of a task stands. */
export const Verification = Type.Object(
  {
    kind: StringEnum(['schema', 'agent', 'command', 'human']),
    round: Type.Integer({ minimum: 1 }),
    maxRounds: Type.Integer({ minimum: 1 }),
    state: StringEnum(['open', 'passed', 'failed', 'withdrawn']),
    attempt: Type.Integer({ description: 'the attempt whose output it is about' }),
    reason: Type.Optional(Type.String({ description: 'why it did not pass' })),
    taskId: Type.Optional(Type.Unsafe<Id>({ ...Id, description: 'the task that verifies' })),
    approvalId: Type.Optional(Type.Unsafe<Id>({ ...Id, description: 'the approval that verifies' })),
    createdAt: Timestamp,
    decidedAt: Type.Optional(Timestamp),
  },
  { $id: 'Verification', additionalProperties: false, description: 'the last round, of a task with verify' },
)
export type Verification = Static<typeof Verification>
