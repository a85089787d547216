import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import { ArtifactName } from '@hypercode/contracts'
import { Limits } from './model/budget.ts'
import { TaskPolicy } from './tools/policy.ts'

const closed = { additionalProperties: false } as const
const Count = Type.Integer({ minimum: 0 })

const common = {
  root: Type.String({
    minLength: 1,
    maxLength: 4096,
    description: 'absolute path of the repository, as the agent sees it; nothing is written there',
  }),
  limits: Type.Optional(Type.Partial(Limits, closed)),
  policy: Type.Optional(TaskPolicy),
}
const Words = Type.String({ minLength: 1, maxLength: 20_000 })

export const EditInput = Type.Object({ ...common, instruction: Words }, closed)
export type EditInput = Static<typeof EditInput>

export const ReviewInput = Type.Object(
  {
    ...common,
    instruction: Type.Optional(Words),
    patch: Type.Optional(Type.String({ maxLength: 200_000, description: 'a unified diff' })),
    patchFrom: Type.Optional(
      Type.Object(
        {
          task: Type.String({ minLength: 1, maxLength: 200, description: 'id of the task in the crew' }),
          artifact: Type.Optional(ArtifactName),
        },
        { ...closed, description: 'a patch that another task of the mission has stored, patch.diff by default' },
      ),
    ),
  },
  closed,
)
export type ReviewInput = Static<typeof ReviewInput>

export const ExplainInput = Type.Object({ ...common, question: Words }, closed)
export type ExplainInput = Static<typeof ExplainInput>

export const MergeInput = Type.Object(
  {
    root: common.root,
    patches: Type.String({
      minLength: 1,
      maxLength: 200,
      description: 'key of the forEach task whose elements have stored the patches',
    }),
    reviews: Type.Array(Type.Union([Type.Null(), Type.Object({ approved: Type.Boolean() })]), {
      maxItems: 10_000,
      description: 'one per patch, in order; null where there was none',
    }),
  },
  closed,
)
export type MergeInput = Static<typeof MergeInput>

/** As `verify: { kind: command }` gives it to the task that verifies: with the input of the task that is verified. */
export const VerifyInput = Type.Object(
  {
    command: Type.Array(Type.String({ maxLength: 4096 }), { minItems: 1, maxItems: 64 }),
    task: Type.String({ minLength: 1, maxLength: 200, description: 'key of the task that has stored patch.diff' }),
    input: Type.Object({ root: common.root, policy: common.policy }, { additionalProperties: true }),
  },
  { additionalProperties: true },
)
export type VerifyInput = Static<typeof VerifyInput>

/** Each skill checks its own, since which of them a task is for is not in its input. */
export const CoderInput = Type.Object({}, { additionalProperties: true })

/** What the model has taken for one task. */
export const UsageOutput = Type.Object(
  {
    turns: Count,
    inputTokens: Count,
    outputTokens: Count,
    usd: Type.Number({ minimum: 0 }),
    ms: Count,
    estimated: Type.Boolean({ description: 'the model has not said it for every turn' }),
  },
  closed,
)

export const EditOutput = Type.Object(
  {
    summary: Type.String(),
    changed: Type.Boolean(),
    fileCount: Count,
    files: Type.Array(
      Type.Object(
        { path: Type.String(), change: Type.Union([Type.Literal('written'), Type.Literal('deleted')]) },
        closed,
      ),
      { description: 'the first 200 of them' },
    ),
    commands: Type.Array(
      Type.Object(
        {
          command: Type.String(),
          exitCode: Type.Union([Type.Integer(), Type.Null()]),
          timedOut: Type.Boolean(),
          durationMs: Count,
        },
        closed,
      ),
    ),
    usage: UsageOutput,
  },
  closed,
)
export type EditOutput = Static<typeof EditOutput>

export const Finding = Type.Object(
  {
    severity: Type.Union([Type.Literal('blocker'), Type.Literal('major'), Type.Literal('minor'), Type.Literal('note')]),
    message: Type.String({ minLength: 1, maxLength: 4000 }),
    path: Type.Optional(Type.String({ minLength: 1, maxLength: 1024 })),
    line: Type.Optional(Type.Integer({ minimum: 1 })),
  },
  closed,
)

/** As a reviewer hands it in. */
export const Review = Type.Object(
  {
    approved: Type.Boolean(),
    findings: Type.Array(Finding, { maxItems: 100 }),
    summary: Type.String({ minLength: 1, maxLength: 10_000 }),
  },
  closed,
)
export type Review = Static<typeof Review>

export const ReviewOutput = Type.Composite([Review, Type.Object({ usage: UsageOutput })], closed)
export type ReviewOutput = Static<typeof ReviewOutput>

const Reference = Type.Object(
  {
    path: Type.String({ minLength: 1, maxLength: 1024 }),
    fromLine: Type.Integer({ minimum: 1 }),
    toLine: Type.Optional(Type.Integer({ minimum: 1 })),
  },
  closed,
)
export type Reference = Static<typeof Reference>

/** As it is handed in. */
export const Explanation = Type.Object(
  {
    answer: Type.String({ minLength: 1, maxLength: 50_000 }),
    references: Type.Array(Reference, { maxItems: 100, description: 'where in the code it can be seen' }),
  },
  closed,
)
export type Explanation = Static<typeof Explanation>

export const ExplainOutput = Type.Composite([Explanation, Type.Object({ usage: UsageOutput })], closed)
export type ExplainOutput = Static<typeof ExplainOutput>

export const MergeOutput = Type.Object(
  {
    applied: Type.Array(Type.String(), { description: 'tasks whose patch is in the merged one' }),
    skipped: Type.Array(Type.Object({ task: Type.String(), reason: Type.String() }, closed)),
    changed: Type.Boolean(),
  },
  closed,
)
export type MergeOutput = Static<typeof MergeOutput>

export const VerifyOutput = Type.Object({ passed: Type.Boolean(), reason: Type.String() }, closed)
export type VerifyOutput = Static<typeof VerifyOutput>

/** Small on purpose: patches and logs are artifacts. */
export const CoderOutput = Type.Union([EditOutput, ReviewOutput, ExplainOutput, MergeOutput, VerifyOutput])
export type CoderOutput = Static<typeof CoderOutput>
