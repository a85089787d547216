import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import { SkillId } from './agents.ts'
import { Approvers, approvalTerms } from './approvals.ts'
import { ManifestBudget } from './budget.ts'
import { Json, Labels, Name, Page, Timestamp, pageQuery } from './common.ts'
import { Duration } from './duration.ts'
import { Id } from './ids.ts'
import { Fault } from './problem.ts'
import { defineRoute } from './route.ts'
import { StringEnum } from './string-enum.ts'
import { ManifestVerify } from './verification.ts'

const closed = { additionalProperties: false } as const

/** What it says is looked at when the manifest is read. */
const JsonSchema = Type.Unsafe<object>({ type: 'object' })

const Member = Type.Object(
  {
    id: Name,
    skill: SkillId,
    requires: Type.Optional(Type.Array(SkillId, { maxItems: 16, uniqueItems: true })),
    blueprint: Type.Optional(
      Type.String({
        pattern: '^[a-z0-9][a-z0-9-]{0,62}@([1-9][0-9]{0,8}|stable|candidate)$',
        description: 'only instances of this version; an alias is looked up when the mission is submitted',
      }),
    ),
    pool: Type.Optional(
      Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,62}$', description: 'only instances that were put into this pool' }),
    ),
  },
  closed,
)

const Retry = Type.Object(
  {
    maxAttempts: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 })),
    initialInterval: Type.Optional(Duration),
    backoff: Type.Optional(Type.Number({ minimum: 1, maximum: 100 })),
    maxInterval: Type.Optional(Duration),
    nonRetryable: Type.Optional(Type.Array(Type.String({ maxLength: 100 }), { maxItems: 50 })),
    onExhausted: Type.Optional(StringEnum(['fail', 'pause'])),
  },
  closed,
)

const Timeouts = Type.Object(
  {
    queue: Type.Optional(Duration),
    attempt: Type.Optional(Duration),
    total: Type.Optional(Duration),
    heartbeat: Type.Optional(Duration),
  },
  closed,
)

const Concurrency = Type.Object(
  {
    key: Type.String({
      minLength: 1,
      maxLength: 200,
      description: 'the same for all tasks that share the limit; may hold ${…}',
    }),
    limit: Type.Integer({ minimum: 1, maximum: 10_000 }),
  },
  { ...closed, description: 'at most `limit` tasks of the tenant with the same key run at once' },
)

const ManifestApproval = Type.Object(
  {
    ...approvalTerms,
    title: Type.Optional(approvalTerms.title),
    deadline: Type.Optional(Duration),
    escalate: Type.Optional(
      Type.Object(
        { after: Duration, approvers: Approvers },
        { ...closed, description: 'who may decide as well, later' },
      ),
    ),
  },
  { ...closed, description: 'people decide about the input before the task begins' },
)

const Compensate = Type.Object(
  {
    member: Type.Optional(Name),
    skill: Type.Optional(SkillId),
    input: Type.Optional(Json),
    retry: Type.Optional(Retry),
    timeouts: Type.Optional(Timeouts),
  },
  {
    ...closed,
    description:
      'who undoes the task, a member or a skill, when it was completed and its mission fails or is canceled; the last completed task first',
  },
)

/** A task as a manifest, or a manager, writes it. */
export const ManifestTask = Type.Object(
  {
    id: Name,
    member: Type.Optional(Name),
    crew: Type.Optional(
      Type.String({
        pattern: '^[a-z0-9][a-z0-9-]{0,62}(@[1-9][0-9]{0,8})?$',
        description:
          'in place of a member: a stored crew, whose mission gets the input of the task and gives its output',
      }),
    ),
    dependsOn: Type.Optional(Type.Array(Name, { maxItems: 500, uniqueItems: true })),
    input: Type.Optional(Json),
    forEach: Type.Optional(Type.Union([Type.String({ maxLength: 500 }), Type.Array(Json, { maxItems: 10_000 })])),
    output: Type.Optional(
      Type.Unsafe<object>({
        ...JsonSchema,
        description:
          'JSON Schema (2020-12) of its output, or { schemaRef: "#/schemas/NAME" }; what does not fit is tried again',
      }),
    ),
    onChildFailure: Type.Optional(
      StringEnum(['fail', 'continue'], {
        description: 'with continue, an element of forEach that fails is null in the list and fails nothing else',
      }),
    ),
    when: Type.Optional(Type.String({ maxLength: 500 })),
    concurrency: Type.Optional(Concurrency),
    priority: Type.Optional(Type.Integer({ minimum: -100, maximum: 100 })),
    retry: Type.Optional(Retry),
    timeouts: Type.Optional(Timeouts),
    approval: Type.Optional(ManifestApproval),
    verify: Type.Optional(ManifestVerify),
    compensate: Type.Optional(Compensate),
  },
  closed,
)

/** A crew as people write it, in YAML or JSON. `${…}` in strings is a path look-up, never code. */
export const CrewManifest = Type.Object(
  {
    apiVersion: Type.Literal('hypercode/v1'),
    kind: Type.Literal('Crew'),
    metadata: Type.Object(
      { name: Name, labels: Type.Optional(Labels), description: Type.Optional(Type.String({ maxLength: 4000 })) },
      closed,
    ),
    schemas: Type.Optional(
      Type.Record(Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$' }), JsonSchema, {
        maxProperties: 50,
        additionalProperties: false,
        description: 'JSON Schemas by name, for `output` and `verify` of tasks',
      }),
    ),
    spec: Type.Object(
      {
        process: Type.Optional(StringEnum(['sequential', 'parallel', 'dag', 'hierarchical'])),
        manager: Type.Optional(
          Type.Unsafe<string>({ ...Name, description: 'member of a hierarchical crew whose tasks plan others' }),
        ),
        members: Type.Array(Member, { minItems: 1, maxItems: 200 }),
        tasks: Type.Array(ManifestTask, { minItems: 1, maxItems: 500 }),
        policy: Type.Optional(
          Type.Object(
            {
              deadline: Type.Optional(Duration),
              onTaskFailure: Type.Optional(StringEnum(['fail', 'continue', 'pause'])),
              budget: Type.Optional(ManifestBudget),
            },
            closed,
          ),
        ),
      },
      closed,
    ),
  },
  { $id: 'CrewManifest', additionalProperties: false },
)
export type CrewManifest = Static<typeof CrewManifest>

export const Crew = Type.Object(
  {
    id: Id,
    name: Name,
    version: Type.Integer({ minimum: 1 }),
    hash: Type.String({ description: 'SHA-256 of the canonical manifest' }),
    manifest: CrewManifest,
    createdAt: Timestamp,
  },
  { $id: 'Crew', additionalProperties: false },
)
export type Crew = Static<typeof Crew>

export const CrewPage = Page(Crew, 'CrewPage')

export const CrewValidation = Type.Object(
  {
    valid: Type.Boolean(),
    faults: Type.Array(Fault),
    order: Type.Optional(
      Type.Array(Type.Array(Name), { description: 'task ids that may run side by side, wave by wave' }),
    ),
  },
  { $id: 'CrewValidation', additionalProperties: false },
)
export type CrewValidation = Static<typeof CrewValidation>

const orchestrator = { service: 'crew-orchestrator', tag: 'crews' } as const
const manifestBody = {
  body: CrewManifest,
  consumes: ['application/json', 'application/yaml', 'text/yaml'],
} as const

export const createCrew = defineRoute({
  ...orchestrator,
  ...manifestBody,
  operationId: 'createCrew',
  method: 'POST',
  path: '/v1/crews',
  summary: 'Store a crew manifest; an unchanged manifest answers 200 with the version that it has already',
  access: ['crew:write'],
  answers: { 200: Crew, 201: Crew },
})

export const validateCrew = defineRoute({
  ...orchestrator,
  ...manifestBody,
  operationId: 'validateCrew',
  method: 'POST',
  path: '/v1/crews:validate',
  summary: 'Check a manifest and report every fault with line, column and JSON pointer',
  access: ['crew:write'],
  answers: { 200: CrewValidation },
})

export const listCrews = defineRoute({
  ...orchestrator,
  operationId: 'listCrews',
  method: 'GET',
  path: '/v1/crews',
  summary: 'List the latest version of every crew',
  access: ['mission:read'],
  query: Type.Object(pageQuery, closed),
  answers: { 200: CrewPage },
})

export const getCrew = defineRoute({
  ...orchestrator,
  operationId: 'getCrew',
  method: 'GET',
  path: '/v1/crews/{name}/versions/{version}',
  summary: 'Read one version of a crew, or `latest`',
  access: ['mission:read'],
  params: Type.Object({ name: Name, version: Type.String({ pattern: '^([1-9][0-9]{0,8}|latest)$' }) }, closed),
  answers: { 200: Crew },
})
