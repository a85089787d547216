import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import { SkillId } from './agents.ts'
import { Json, Labels, Name, Page, Timestamp, pageQuery } from './common.ts'
import { Duration } from './duration.ts'
import { Files, Scorer } from './gym-scorers.ts'
import { Id } from './ids.ts'
import { Fault } from './problem.ts'
import { defineRoute } from './route.ts'

const closed = { additionalProperties: false } as const

const Limits = Type.Object(
  {
    time: Type.Optional(Duration),
    tokens: Type.Optional(Type.Integer({ minimum: 1 })),
    usd: Type.Optional(Type.Number({ exclusiveMinimum: 0 })),
  },
  closed,
)

const STEP_POINT = '^(start|step:[1-9][0-9]{0,3})$'
/** What is done to a sample while it runs; its score then includes that nothing was lost or done twice. */
export const GymFault = Type.Union(
  [
    Type.Object(
      {
        kill: Type.Literal('agent'),
        at: Type.String({ pattern: STEP_POINT }),
        times: Type.Optional(Type.Integer({ minimum: 1, maximum: 10 })),
      },
      closed,
    ),
    Type.Object(
      {
        delay: Type.Literal('model'),
        ms: Type.Integer({ minimum: 1, maximum: 60_000 }),
        times: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000 })),
      },
      closed,
    ),
    Type.Object(
      { status: Type.Integer({ minimum: 400, maximum: 599 }), times: Type.Integer({ minimum: 1, maximum: 1000 }) },
      closed,
    ),
    Type.Object({ cut: Type.Literal('model'), times: Type.Integer({ minimum: 1, maximum: 1000 }) }, closed),
  ],
  { $id: 'GymFault' },
)
export type GymFault = Static<typeof GymFault>

export const Scenario = Type.Object(
  {
    id: Name,
    description: Type.Optional(Type.String({ maxLength: 2000 })),
    skill: Type.Optional(SkillId),
    input: Json,
    workspace: Type.Optional(
      Type.Object(
        {
          files: Files,
          patch: Type.Optional(
            Type.String({
              maxLength: 200,
              description: 'artifact of the task that is applied to the files before scoring',
            }),
          ),
        },
        {
          ...closed,
          description: 'files of a folder of its own for each sample; ${workspace} in the input is its path',
        },
      ),
    ),
    repetitions: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000 })),
    limits: Type.Optional(Limits),
    faults: Type.Optional(Type.Array(GymFault, { maxItems: 16 })),
    scorers: Type.Array(Scorer, { minItems: 1, maxItems: 32 }),
  },
  { $id: 'Scenario', additionalProperties: false },
)
export type Scenario = Static<typeof Scenario>

/** The rule by which a run is judged; declared before the run, kept with it. */
export const GateRule = Type.Union(
  [
    Type.Object(
      {
        kind: Type.Literal('thresholds'),
        passRate: Type.Number({ minimum: 0, maximum: 1, description: 'of all samples' }),
        perScenario: Type.Optional(
          Type.Number({
            minimum: 0,
            maximum: 1,
            description: 'of each scenario; 0 when absent, so that none hides in a good average',
          }),
        ),
        confidence: Type.Optional(
          Type.Number({
            minimum: 0.5,
            maximum: 0.999,
            description: 'the lower Wilson bound at this confidence must reach the pass rate',
          }),
        ),
        maxP95Ms: Type.Optional(Type.Integer({ minimum: 1 })),
        maxUsdPerSample: Type.Optional(Type.Number({ minimum: 0, description: 'on average' })),
      },
      closed,
    ),
    Type.Object(
      {
        kind: Type.Literal('sequential'),
        good: Type.Number({ exclusiveMinimum: 0, exclusiveMaximum: 1, description: 'true pass rate that must pass' }),
        bad: Type.Number({ exclusiveMinimum: 0, exclusiveMaximum: 1, description: 'true pass rate that must not' }),
        alpha: Type.Number({ minimum: 0.0001, maximum: 0.5, description: 'chance that a bad one passes' }),
        beta: Type.Number({ minimum: 0.0001, maximum: 0.5, description: 'chance that a good one fails' }),
        maxSamples: Type.Integer({
          minimum: 1,
          maximum: 100_000,
          description: 'without a decision by then: inconclusive',
        }),
      },
      closed,
    ),
  ],
  { $id: 'GateRule' },
)
export type GateRule = Static<typeof GateRule>

/** A suite as people write it, in YAML or JSON. */
export const SuiteManifest = Type.Object(
  {
    apiVersion: Type.Literal('hypercode/v1'),
    kind: Type.Literal('Suite'),
    metadata: Type.Object(
      { name: Name, labels: Type.Optional(Labels), description: Type.Optional(Type.String({ maxLength: 4000 })) },
      closed,
    ),
    spec: Type.Object(
      {
        skill: SkillId,
        repetitions: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, description: '1 when absent' })),
        parallel: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, description: '4 when absent' })),
        instances: Type.Optional(Type.Integer({ minimum: 1, maximum: 50, description: '1 when absent' })),
        limits: Type.Optional(Limits),
        gate: GateRule,
        scenarios: Type.Array(Scenario, { minItems: 1, maxItems: 500 }),
        judge: Type.Optional(
          Type.Object(
            {
              calibration: Type.Array(
                Type.Object(
                  { rubric: Type.String({ maxLength: 10_000 }), output: Json, passes: Type.Boolean() },
                  closed,
                ),
                { minItems: 2, maxItems: 100 },
              ),
              agreement: Type.Number({
                minimum: 0.5,
                maximum: 1,
                description: 'of the judge with these cases; below it no verdict is given',
              }),
            },
            closed,
          ),
        ),
        live: Type.Optional(
          Type.Object(
            {
              sample: Type.Number({
                exclusiveMinimum: 0,
                maximum: 1,
                description: 'share of the production tasks of the stable version',
              }),
              scorers: Type.Array(Scorer, { minItems: 1, maxItems: 32 }),
              rule: GateRule,
            },
            {
              ...closed,
              description: 'scores finished production tasks of the skill; a failing verdict demotes by itself',
            },
          ),
        ),
      },
      closed,
    ),
  },
  { $id: 'SuiteManifest', additionalProperties: false },
)
export type SuiteManifest = Static<typeof SuiteManifest>

export const Suite = Type.Object(
  {
    id: Id,
    name: Name,
    version: Type.Integer({ minimum: 1 }),
    hash: Type.String(),
    manifest: SuiteManifest,
    createdAt: Timestamp,
    createdBy: Type.String(),
  },
  { $id: 'Suite', additionalProperties: false },
)
export type Suite = Static<typeof Suite>

export const SuiteValidation = Type.Object(
  { valid: Type.Boolean(), faults: Type.Array(Fault) },
  { $id: 'SuiteValidation', additionalProperties: false },
)
export type SuiteValidation = Static<typeof SuiteValidation>

const gym = { service: 'turing-gym', tag: 'gym', access: ['gym:run'] } as const
const manifestBody = {
  body: SuiteManifest,
  consumes: ['application/json', 'application/yaml', 'text/yaml'],
  bodyLimitBytes: 4 * 1024 * 1024,
} as const
const SuiteVersionRef = Type.String({ pattern: '^([1-9][0-9]{0,8}|latest)$' })

export const createSuite = defineRoute({
  ...gym,
  ...manifestBody,
  operationId: 'createSuite',
  method: 'POST',
  path: '/v1/gym/suites',
  summary: 'Store a suite version; unchanged content answers 200 with its version',
  answers: { 200: Suite, 201: Suite },
})

export const validateSuite = defineRoute({
  ...gym,
  ...manifestBody,
  operationId: 'validateSuite',
  method: 'POST',
  path: '/v1/gym/suites:validate',
  summary: 'Check a suite and report every fault with line, column and JSON pointer',
  answers: { 200: SuiteValidation },
})

export const listSuites = defineRoute({
  ...gym,
  operationId: 'listSuites',
  method: 'GET',
  path: '/v1/gym/suites',
  summary: 'List the latest version of every suite',
  query: Type.Object(pageQuery, closed),
  answers: { 200: Page(Suite, 'SuitePage') },
})

export const getSuite = defineRoute({
  ...gym,
  operationId: 'getSuite',
  method: 'GET',
  path: '/v1/gym/suites/{name}/versions/{version}',
  summary: 'Read one version of a suite, or `latest`',
  params: Type.Object({ name: Name, version: SuiteVersionRef }, closed),
  answers: { 200: Suite },
})

export const captureScenario = defineRoute({
  ...gym,
  operationId: 'captureScenario',
  method: 'POST',
  path: '/v1/gym/suites/{name}:capture',
  summary: 'Save a finished task as a scenario: a new version of the suite, which is made when there is none',
  params: Type.Object({ name: Name }, closed),
  body: Type.Object(
    {
      taskId: Id,
      scenario: Name,
      scorers: Type.Optional(
        Type.Array(Scorer, { minItems: 1, maxItems: 32, description: 'equals its output when absent' }),
      ),
    },
    { $id: 'CaptureScenario', ...closed },
  ),
  answers: { 201: Suite },
})
