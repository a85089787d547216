import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import { Lifecycle, SkillId } from './agents.ts'
import { BlueprintVersionRef, DriverName, EnvVariables } from './blueprints.ts'
import { IdParams, Labels, Name, Page, Timestamp, pageQuery } from './common.ts'
import { idempotencyHeaders } from './idempotency.ts'
import { Id } from './ids.ts'
import { defineRoute } from './route.ts'
import { StringEnum } from './string-enum.ts'

const closed = { additionalProperties: false } as const

/** A pool of its own keeps instances and tasks apart from all others: only tasks of the pool go to them. */
export const PoolName = Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,62}$' })

/** Why a process ended that nobody had told to. */
export const FAILURES = ['exited', 'killed', 'out_of_memory', 'hung', 'silent', 'not_ready', 'start_failed'] as const
export const Failure = StringEnum(FAILURES)
export type Failure = Static<typeof Failure>

export const Crash = Type.Object(
  {
    at: Timestamp,
    reason: Failure,
    detail: Type.Optional(Type.String()),
    exitCode: Type.Optional(Type.Integer()),
    signal: Type.Optional(Type.String()),
  },
  { $id: 'Crash', additionalProperties: false },
)
export type Crash = Static<typeof Crash>

/** What the factory runs: one process, container or pod made from one blueprint version, replaced in place when it fails. */
export const Instance = Type.Object(
  {
    id: Id,
    blueprint: Name,
    version: Type.Integer({ minimum: 1 }),
    hash: Type.String(),
    driver: DriverName,
    role: StringEnum(['member', 'spare'], { description: 'a spare is warm and takes no work until it is promoted' }),
    pool: Type.Optional(PoolName),
    labels: Labels,
    lifecycle: Lifecycle,
    reason: Type.Optional(Type.String({ description: 'why it is in this state, when that is not obvious' })),
    subject: Type.String({ description: 'token subject of its own credential' }),
    agentId: Type.Optional(Id),
    agentInstanceId: Type.Optional(Id),
    place: Type.Optional(Type.String({ description: 'process id, container id or pod name, with its host' })),
    starts: Type.Integer({ description: 'how often it was started' }),
    crashes: Type.Array(Crash, { description: 'the last of them, newest first' }),
    lastLines: Type.Optional(
      Type.Array(Type.String(), { description: 'last lines of its log before it was quarantined' }),
    ),
    createdAt: Timestamp,
    startedAt: Type.Optional(Timestamp),
    readyAt: Type.Optional(Timestamp),
    endedAt: Type.Optional(Timestamp),
  },
  { $id: 'Instance', additionalProperties: false },
)
export type Instance = Static<typeof Instance>

export const SpawnRequest = Type.Object(
  {
    count: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, default: 1 })),
    pool: Type.Optional(PoolName),
    labels: Type.Optional(Labels),
    env: Type.Optional(
      Type.Unsafe<Static<typeof EnvVariables>>({
        ...EnvVariables,
        description: 'beside and over those of the blueprint',
      }),
    ),
    waitMs: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 30_000,
        default: 0,
        description: 'answer when all are ready, or after that',
      }),
    ),
  },
  { $id: 'SpawnRequest', additionalProperties: false },
)
export type SpawnRequest = Static<typeof SpawnRequest>

export const SpawnAnswer = Type.Object({ instances: Type.Array(Instance) }, { $id: 'SpawnAnswer', ...closed })
export type SpawnAnswer = Static<typeof SpawnAnswer>

/** One member of a crew and who can do its work. */
export const AssembledMember = Type.Object(
  {
    id: Name,
    skill: SkillId,
    blueprint: Type.Optional(Type.String()),
    instanceIds: Type.Array(Id, { description: 'agent instances that are ready for it' }),
    spawned: Type.Integer(),
  },
  closed,
)
export const Assembly = Type.Object(
  { crew: Name, version: Type.Integer(), members: Type.Array(AssembledMember) },
  { $id: 'Assembly', additionalProperties: false },
)
export type Assembly = Static<typeof Assembly>

const factory = { service: 'agent-factory', tag: 'instances' } as const
const change = {
  ...factory,
  method: 'POST',
  access: ['instance:write'],
  params: IdParams,
  answers: { 200: Instance },
} as const

export const spawnInstances = defineRoute({
  ...factory,
  operationId: 'spawnInstances',
  method: 'POST',
  path: '/v1/blueprints/{name}/versions/{version}:spawn',
  summary: 'Start instances of a blueprint version; a warm spare is promoted when there is one',
  access: ['instance:write'],
  params: Type.Object({ name: Name, version: BlueprintVersionRef }, closed),
  headers: Type.Object(idempotencyHeaders),
  body: Type.Optional(SpawnRequest),
  answers: { 201: SpawnAnswer },
  longLived: true,
})

export const listInstances = defineRoute({
  ...factory,
  operationId: 'listInstances',
  method: 'GET',
  path: '/v1/instances',
  summary: 'List instances, newest first',
  access: ['agent:read'],
  query: Type.Object(
    {
      ...pageQuery,
      blueprint: Type.Optional(Name),
      lifecycle: Type.Optional(Lifecycle),
      pool: Type.Optional(PoolName),
      live: Type.Optional(Type.Boolean({ description: 'only those that have not ended' })),
    },
    closed,
  ),
  answers: { 200: Page(Instance, 'InstancePage') },
})

export const getInstance = defineRoute({
  ...factory,
  operationId: 'getInstance',
  method: 'GET',
  path: '/v1/instances/{id}',
  summary: 'Read one instance',
  access: ['agent:read'],
  params: IdParams,
  answers: { 200: Instance },
})

export const endInstance = defineRoute({
  ...change,
  operationId: 'endInstance',
  path: '/v1/instances/{id}:stop',
  summary: 'Drain an instance, end it and revoke its credential',
})

export const restartInstance = defineRoute({
  ...change,
  operationId: 'restartInstance',
  path: '/v1/instances/{id}:restart',
  summary: 'Replace the process of an instance; `kill` gives it no time to drain',
  body: Type.Optional(Type.Object({ kill: Type.Optional(Type.Boolean()) }, { $id: 'RestartInstance', ...closed })),
})

export const hibernateInstance = defineRoute({
  ...change,
  operationId: 'hibernateInstance',
  path: '/v1/instances/{id}:hibernate',
  summary: 'Drain an instance and give its memory back until work or :wake brings it up again',
})

export const wakeInstance = defineRoute({
  ...change,
  operationId: 'wakeInstance',
  path: '/v1/instances/{id}:wake',
  summary: 'Bring a hibernating instance up again',
})

export const releaseInstance = defineRoute({
  ...change,
  operationId: 'releaseInstance',
  path: '/v1/instances/{id}:release',
  summary: 'Let a quarantined instance try again',
})

export const readInstanceLogs = defineRoute({
  ...factory,
  operationId: 'readInstanceLogs',
  method: 'GET',
  path: '/v1/instances/{id}/logs',
  summary:
    'Output of an instance as JSON lines (SSE); `cursor` or Last-Event-ID resumes, `follow=false` ends at the last line',
  access: ['instance:write'],
  params: IdParams,
  query: Type.Object(
    { cursor: Type.Optional(Type.Integer({ minimum: 0 })), follow: Type.Optional(Type.Boolean({ default: true })) },
    closed,
  ),
  answers: { 200: null },
  produces: 'text/event-stream',
  longLived: true,
})

export const assembleCrew = defineRoute({
  ...factory,
  tag: 'crews',
  operationId: 'assembleCrew',
  method: 'POST',
  path: '/v1/crews/{name}:assemble',
  summary: 'Bring up what every member of a crew needs; 409 crew_incomplete names what is missing',
  access: ['instance:write'],
  params: Type.Object({ name: Name }, closed),
  body: Type.Optional(
    Type.Object(
      {
        version: Type.Optional(Type.Integer({ minimum: 1 })),
        waitMs: Type.Optional(Type.Integer({ minimum: 0, maximum: 30_000, default: 15_000 })),
      },
      { $id: 'AssembleCrew', ...closed },
    ),
  ),
  answers: { 200: Assembly },
  longLived: true,
})
