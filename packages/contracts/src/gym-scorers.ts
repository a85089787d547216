import { Type } from '@sinclair/typebox'
import type { Static, TSchema } from '@sinclair/typebox'
import { Json, Name } from './common.ts'
import { Duration } from './duration.ts'
import { ArtifactName } from './journal.ts'
import { StringEnum } from './string-enum.ts'

const closed = { additionalProperties: false } as const

/** A file below the workspace of a sample: no `..`, not absolute. */
export const FilePath = Type.String({ pattern: '^(?!/)(?!.*(^|/)\\.\\.?(/|$))[^\\u0000-\\u001f]+$', maxLength: 400 })
/** Files of a folder, by their paths below it. */
export const Files = Type.Record(Type.String(), Type.String({ maxLength: 1_000_000 }), { maxProperties: 500 })

/** Where a scorer looks: into the output of the task, or into an artifact of it (as JSON when its name ends in .json, else as text). */
const looksAt = {
  artifact: Type.Optional(
    Type.Unsafe<Static<typeof ArtifactName>>({ ...ArtifactName, description: 'artifact to look into, not the output' }),
  ),
  at: Type.Optional(
    Type.String({
      maxLength: 300,
      description:
        'path like `files[0].path`, or a JSONPath query (RFC 9535) like `$.findings[*].rule`; all of it when absent',
    }),
  ),
}
const Text = Type.String({ maxLength: 100_000 })
const Argv = Type.Array(Type.String({ minLength: 1, maxLength: 1000 }), { minItems: 1, maxItems: 64 })
const Match = Type.Optional(StringEnum(['exact', 'in-order', 'any-order'], { description: 'in-order when absent' }))
const Pass = Type.Optional(Type.Number({ minimum: 0, maximum: 1 }))
const StepNames = Type.Array(Type.String({ maxLength: 200 }), { maxItems: 200 })

const scorer = <const K extends string, P extends Record<string, TSchema>>(kind: K, properties: P) =>
  Type.Object(
    {
      kind: Type.Literal(kind),
      name: Type.Optional(Name),
      weight: Type.Optional(Type.Number({ minimum: 0, maximum: 1000, description: '1 when absent' })),
      ...properties,
    },
    closed,
  )

/**
 * How one sample is judged. Each gives 0 to 1; a sample passes when every scorer reaches its `pass` (1 where it has none). Where no scorer
 * looks at the outcome, the task must have completed as well.
 */
export const Scorer = Type.Union(
  [
    scorer('equals', { ...looksAt, value: Json }),
    scorer('contains', { ...looksAt, text: Text, ignoreCase: Type.Optional(Type.Boolean()) }),
    scorer('regex', {
      ...looksAt,
      pattern: Type.String({ maxLength: 1000, description: 'RE2 syntax: no look-around, no back-references' }),
    }),
    scorer('schema', { ...looksAt, schema: Type.Record(Type.String(), Type.Unknown()) }),
    scorer('path', {
      ...looksAt,
      at: Type.String({ maxLength: 300 }),
      value: Type.Optional(Json),
      exists: Type.Optional(Type.Boolean()),
    }),
    scorer('file-exists', { file: FilePath, exists: Type.Optional(Type.Boolean({ description: 'true when absent' })) }),
    scorer('file-contains', { file: FilePath, text: Text }),
    scorer('file-equals', { file: FilePath, content: Text }),
    scorer('command', {
      argv: Argv,
      exitCode: Type.Optional(Type.Integer({ minimum: 0, maximum: 255, description: '0 when absent' })),
      timeout: Type.Optional(Duration),
      files: Type.Optional(
        Type.Unsafe<Static<typeof Files>>({
          ...Files,
          description:
            'put over the workspace before the command runs, hidden tests for one; the agent never sees them',
        }),
      ),
    }),
    scorer('tool-calls', {
      sequence: Type.Unsafe<Static<typeof StepNames>>({
        ...StepNames,
        description:
          'names of the tools called, from steps named `call-<n> <tool>`, with anything and a slash before it',
      }),
      match: Match,
    }),
    scorer('steps', { names: StepNames, match: Match }),
    scorer('latency', { max: Duration }),
    scorer('tokens', { max: Type.Integer({ minimum: 0 }) }),
    scorer('cost', { maxUsd: Type.Number({ minimum: 0 }) }),
    scorer('outcome', {
      is: StringEnum(['completed', 'failed', 'rejected']),
      code: Type.Optional(Type.String({ maxLength: 100 })),
    }),
    scorer('resilience', {}),
    scorer('judge', { ...looksAt, rubric: Type.String({ maxLength: 10_000 }), pass: Pass }),
    scorer('module', {
      module: Type.String({
        pattern: '^[a-z0-9@][A-Za-z0-9@/._-]*$',
        maxLength: 200,
        description: 'name of a scorer module that the gym was given',
      }),
      options: Type.Optional(Json),
      pass: Pass,
    }),
  ],
  { $id: 'Scorer' },
)
export type Scorer = Static<typeof Scorer>
