import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import { SkillId } from './agents.ts'
import { Labels, Name, Page, Timestamp, pageQuery } from './common.ts'
import { Duration } from './duration.ts'
import { Id } from './ids.ts'
import { Fault } from './problem.ts'
import { defineRoute } from './route.ts'
import { StringEnum } from './string-enum.ts'

const closed = { additionalProperties: false } as const

export const DRIVERS = ['process', 'docker', 'kubernetes'] as const
export const DriverName = StringEnum(DRIVERS)
export type DriverName = Static<typeof DriverName>

/** What is started: a module of a package that is installed beside the factory, a file, or an image. Never a line for a shell. */
const Entry = Type.Union([
  Type.Object(
    { module: Type.String({ pattern: '^(@[a-z0-9-]+/)?[a-z0-9][a-z0-9._-]*(/[A-Za-z0-9._-]+)*$', maxLength: 200 }) },
    closed,
  ),
  Type.Object(
    { path: Type.String({ pattern: '^/[^\\u0000-\\u001f]+$', maxLength: 1000, description: 'absolute' }) },
    closed,
  ),
  Type.Object({ image: Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._/:@-]*$', maxLength: 300 }) }, closed),
])

/** `512Mi`, `2Gi`. */
const Memory = Type.String({ pattern: '^[1-9][0-9]{0,6}(Mi|Gi)$' })

/** Bytes of a `Memory`. */
export const memoryBytes = (text: string): number =>
  Number.parseInt(text, 10) * (text.endsWith('Gi') ? 1024 ** 3 : 1024 ** 2)

export const EnvName = Type.String({ pattern: '^[A-Z][A-Z0-9_]{0,99}$' })
/** Variables for the process; which names are refused is the factory's rule. */
export const EnvVariables = Type.Record(
  Type.String({ pattern: '^[A-Z][A-Z0-9_]{0,99}$' }),
  Type.String({ maxLength: 4000 }),
  { maxProperties: 64, additionalProperties: false },
)

const Restart = Type.Object(
  {
    policy: Type.Optional(StringEnum(['always', 'on-failure', 'never'], { default: 'always' })),
    initialInterval: Type.Optional(Duration),
    maxInterval: Type.Optional(Duration),
    crashes: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 100, default: 5, description: 'so many within the window: quarantined' }),
    ),
    window: Type.Optional(Duration),
  },
  closed,
)

/** A blueprint as people write it, in YAML or JSON: the recipe by which the factory makes instances of an agent. */
export const BlueprintManifest = Type.Object(
  {
    apiVersion: Type.Literal('hypercode/v1'),
    kind: Type.Literal('Blueprint'),
    metadata: Type.Object(
      { name: Name, labels: Type.Optional(Labels), description: Type.Optional(Type.String({ maxLength: 4000 })) },
      closed,
    ),
    spec: Type.Object(
      {
        driver: Type.Optional(DriverName),
        entry: Entry,
        args: Type.Optional(Type.Array(Type.String({ maxLength: 1000 }), { maxItems: 64 })),
        env: Type.Optional(EnvVariables),
        envFrom: Type.Optional(
          Type.Array(EnvName, {
            maxItems: 64,
            uniqueItems: true,
            description: 'variables of the factory’s own environment that the process gets too, and no others',
          }),
        ),
        secrets: Type.Optional(
          Type.Record(EnvName, Name, {
            maxProperties: 32,
            additionalProperties: false,
            description: 'variable and the name of the secret at the factory; the process gets NAME_FILE',
          }),
        ),
        skills: Type.Array(SkillId, { minItems: 1, maxItems: 64, uniqueItems: true }),
        slots: Type.Integer({ minimum: 1, maximum: 1000 }),
        resources: Type.Object({ cpu: Type.Number({ minimum: 0.05, maximum: 256 }), memory: Memory }, closed),
        restart: Type.Optional(Restart),
        population: Type.Optional(
          Type.Object(
            { min: Type.Integer({ minimum: 0, maximum: 1000 }), max: Type.Integer({ minimum: 1, maximum: 1000 }) },
            closed,
          ),
        ),
        warmPool: Type.Optional(Type.Integer({ minimum: 0, maximum: 100, default: 0 })),
        idleTtl: Type.Optional(Duration),
        watchdog: Type.Optional(
          Type.Object({ readyWithin: Type.Optional(Duration), hungAfter: Type.Optional(Duration) }, closed),
        ),
        model: Type.Optional(
          Type.Object(
            {
              baseUrl: Type.Optional(Type.String({ pattern: '^https?://[^\\s]+$', maxLength: 500 })),
              name: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
              inputUsdPerMtok: Type.Optional(Type.Number({ minimum: 0 })),
              outputUsdPerMtok: Type.Optional(Type.Number({ minimum: 0 })),
            },
            closed,
          ),
        ),
        gate: Type.Optional(
          Type.Object(
            { suites: Type.Array(Name, { minItems: 1, maxItems: 16, uniqueItems: true }) },
            { ...closed, description: 'a promotion needs a passing run of each of these suites' },
          ),
        ),
      },
      closed,
    ),
  },
  { $id: 'BlueprintManifest', additionalProperties: false },
)
export type BlueprintManifest = Static<typeof BlueprintManifest>

export const BLUEPRINT_ALIASES = ['stable', 'candidate'] as const
export const BlueprintAlias = StringEnum(BLUEPRINT_ALIASES)
export type BlueprintAlias = Static<typeof BlueprintAlias>

/** One version, never changed again. */
export const Blueprint = Type.Object(
  {
    id: Id,
    name: Name,
    version: Type.Integer({ minimum: 1 }),
    hash: Type.String({ description: 'SHA-256 of the canonical manifest' }),
    manifest: BlueprintManifest,
    aliases: Type.Array(BlueprintAlias, { description: 'aliases that point at this version now' }),
    createdAt: Timestamp,
    createdBy: Type.String(),
  },
  { $id: 'Blueprint', additionalProperties: false },
)
export type Blueprint = Static<typeof Blueprint>

export const BlueprintValidation = Type.Object(
  { valid: Type.Boolean(), faults: Type.Array(Fault) },
  { $id: 'BlueprintValidation', additionalProperties: false },
)
export type BlueprintValidation = Static<typeof BlueprintValidation>

/** One decision about `stable`, with its evidence. */
export const Promotion = Type.Object(
  {
    id: Id,
    blueprint: Name,
    kind: StringEnum(['promoted', 'demoted', 'refused']),
    version: Type.Integer({ description: 'that was promoted, demoted or refused' }),
    stable: Type.Optional(Type.Integer({ description: 'version that is stable after it; absent when none is' })),
    hash: Type.String(),
    runIds: Type.Array(Id, { description: 'gym runs that it rests on' }),
    reason: Type.String(),
    actor: Type.String(),
    at: Timestamp,
  },
  { $id: 'Promotion', additionalProperties: false },
)
export type Promotion = Static<typeof Promotion>

/** `3`, `latest`, or an alias. */
export const BlueprintVersionRef = Type.String({ pattern: '^([1-9][0-9]{0,8}|latest|stable|candidate)$' })
const versionParams = Type.Object({ name: Name, version: BlueprintVersionRef }, closed)

const factory = { service: 'agent-factory', tag: 'blueprints' } as const
const manifestBody = {
  body: BlueprintManifest,
  consumes: ['application/json', 'application/yaml', 'text/yaml'],
} as const

export const createBlueprint = defineRoute({
  ...factory,
  ...manifestBody,
  operationId: 'createBlueprint',
  method: 'POST',
  path: '/v1/blueprints',
  summary: 'Store a blueprint version and point `candidate` at it; unchanged content answers 200 with its version',
  access: ['blueprint:write'],
  answers: { 200: Blueprint, 201: Blueprint },
})

export const validateBlueprint = defineRoute({
  ...factory,
  ...manifestBody,
  operationId: 'validateBlueprint',
  method: 'POST',
  path: '/v1/blueprints:validate',
  summary: 'Check a blueprint and report every fault with line, column and JSON pointer',
  access: ['blueprint:write'],
  answers: { 200: BlueprintValidation },
})

export const listBlueprints = defineRoute({
  ...factory,
  operationId: 'listBlueprints',
  method: 'GET',
  path: '/v1/blueprints',
  summary: 'List the latest version of every blueprint',
  access: ['agent:read'],
  query: Type.Object(pageQuery, closed),
  answers: { 200: Page(Blueprint, 'BlueprintPage') },
})

export const getBlueprint = defineRoute({
  ...factory,
  operationId: 'getBlueprint',
  method: 'GET',
  path: '/v1/blueprints/{name}/versions/{version}',
  summary: 'Read one version of a blueprint, by number, alias or `latest`',
  access: ['agent:read'],
  params: versionParams,
  answers: { 200: Blueprint },
})

export const promoteBlueprint = defineRoute({
  ...factory,
  operationId: 'promoteBlueprint',
  method: 'POST',
  path: '/v1/blueprints/{name}/versions/{version}:promote',
  summary: 'Make a version `stable`; 403 gym_required says which passing run is missing for its content',
  access: ['blueprint:promote'],
  params: versionParams,
  answers: { 200: Promotion },
})

export const demoteBlueprint = defineRoute({
  ...factory,
  operationId: 'demoteBlueprint',
  method: 'POST',
  path: '/v1/blueprints/{name}:demote',
  summary: 'Take `stable` back to the version that held it before',
  access: ['blueprint:promote'],
  params: Type.Object({ name: Name }, closed),
  body: Type.Object(
    {
      reason: Type.String({ minLength: 1, maxLength: 1000 }),
      version: Type.Optional(Type.Integer({ minimum: 1, description: 'only when it is this one that is stable' })),
    },
    { $id: 'DemoteBlueprint', ...closed },
  ),
  answers: { 200: Promotion },
})

export const listPromotions = defineRoute({
  ...factory,
  operationId: 'listPromotions',
  method: 'GET',
  path: '/v1/blueprints/{name}/promotions',
  summary: 'List what was promoted, demoted and refused, newest first',
  access: ['agent:read'],
  params: Type.Object({ name: Name }, closed),
  query: Type.Object(pageQuery, closed),
  answers: { 200: Page(Promotion, 'PromotionPage') },
})
