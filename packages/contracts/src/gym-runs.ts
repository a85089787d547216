import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import { BlueprintVersionRef } from './blueprints.ts'
import { IdParams, Json, Name, Page, Timestamp, pageQuery } from './common.ts'
import { GateRule } from './gym-suites.ts'
import { idempotencyHeaders } from './idempotency.ts'
import { Id } from './ids.ts'
import { defineRoute } from './route.ts'
import { StringEnum } from './string-enum.ts'

const closed = { additionalProperties: false } as const

export const GYM_RUN_STATES = ['queued', 'running', 'completed', 'failed', 'canceled'] as const
export const GymRunState = StringEnum(GYM_RUN_STATES)
export type GymRunState = Static<typeof GymRunState>

export const VERDICTS = ['passed', 'failed', 'inconclusive'] as const
export const Verdict = StringEnum(VERDICTS)
export type Verdict = Static<typeof Verdict>

const Interval = Type.Object({ low: Type.Number(), high: Type.Number() }, closed)

export const ScenarioSummary = Type.Object(
  {
    id: Name,
    samples: Type.Integer(),
    passed: Type.Integer(),
    errored: Type.Integer({
      description: 'could not be judged: the platform or the suite was at fault, not the agent',
    }),
    passRate: Type.Number(),
    interval: Type.Unsafe<Static<typeof Interval>>({ ...Interval, description: 'Wilson, 95 %' }),
    passAtK: Type.Array(Type.Number(), { description: 'chance that at least one of k passes, for k = 1, 2, …' }),
    passHatK: Type.Array(Type.Number(), { description: 'chance that all of k pass, for k = 1, 2, …' }),
    p50Ms: Type.Optional(Type.Number()),
    p95Ms: Type.Optional(Type.Number()),
    tokens: Type.Integer(),
    usd: Type.Number(),
  },
  { $id: 'ScenarioSummary', additionalProperties: false },
)
export type ScenarioSummary = Static<typeof ScenarioSummary>

export const GymRun = Type.Object(
  {
    id: Id,
    suite: Name,
    suiteVersion: Type.Integer(),
    blueprint: Name,
    blueprintVersion: Type.Integer(),
    blueprintHash: Type.String(),
    state: GymRunState,
    rule: GateRule,
    verdict: Type.Optional(Verdict),
    reasons: Type.Array(Type.String(), { description: 'what the verdict rests on' }),
    error: Type.Optional(Type.String({ description: 'why the run could not be carried out' })),
    samples: Type.Object(
      {
        planned: Type.Integer(),
        finished: Type.Integer(),
        passed: Type.Integer(),
        failed: Type.Integer(),
        errored: Type.Integer(),
      },
      closed,
    ),
    scenarios: Type.Optional(Type.Array(ScenarioSummary)),
    createdBy: Type.String(),
    createdAt: Timestamp,
    startedAt: Type.Optional(Timestamp),
    endedAt: Type.Optional(Timestamp),
  },
  { $id: 'GymRun', additionalProperties: false },
)
export type GymRun = Static<typeof GymRun>

export const Score = Type.Object(
  {
    scorer: Type.String({ description: 'its name, or its kind and place' }),
    kind: Type.String(),
    score: Type.Number({ minimum: 0, maximum: 1 }),
    passed: Type.Boolean(),
    detail: Type.Optional(Type.String({ maxLength: 4000 })),
  },
  closed,
)
export type Score = Static<typeof Score>

export const GymSample = Type.Object(
  {
    id: Id,
    scenario: Name,
    repetition: Type.Integer({ minimum: 1 }),
    state: StringEnum(['planned', 'running', 'passed', 'failed', 'errored', 'skipped']),
    missionId: Type.Optional(Id),
    taskId: Type.Optional(Id),
    outcome: Type.Optional(Type.String()),
    output: Type.Optional(Json),
    scores: Type.Array(Score),
    score: Type.Optional(Type.Number({ description: 'weighted mean of its scorers' })),
    latencyMs: Type.Optional(Type.Number()),
    tokens: Type.Optional(Type.Integer()),
    usd: Type.Optional(Type.Number()),
    faultsInjected: Type.Optional(Type.Array(Type.String())),
    error: Type.Optional(Type.String()),
    endedAt: Type.Optional(Timestamp),
  },
  { $id: 'GymSample', additionalProperties: false },
)
export type GymSample = Static<typeof GymSample>

export const GymComparison = Type.Object(
  {
    runId: Id,
    baselineId: Id,
    verdict: StringEnum(['better', 'worse', 'same', 'not_enough_evidence']),
    pValue: Type.Number({ description: 'two-sided exact test over all samples that both runs have' }),
    scenarios: Type.Array(
      Type.Object(
        {
          id: Name,
          change: StringEnum(['better', 'worse', 'same', 'flaky', 'added', 'removed']),
          before: Type.Optional(Type.Number()),
          after: Type.Optional(Type.Number()),
        },
        closed,
      ),
    ),
  },
  { $id: 'GymComparison', additionalProperties: false },
)
export type GymComparison = Static<typeof GymComparison>

const gym = { service: 'turing-gym', tag: 'gym', access: ['gym:run'] } as const

export const startGymRun = defineRoute({
  ...gym,
  operationId: 'startGymRun',
  method: 'POST',
  path: '/v1/gym/runs',
  summary: 'Run a suite against instances of exactly one blueprint version',
  headers: Type.Object(idempotencyHeaders),
  body: Type.Object(
    {
      suite: Name,
      suiteVersion: Type.Optional(Type.Integer({ minimum: 1 })),
      blueprint: Name,
      blueprintVersion: BlueprintVersionRef,
      repetitions: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000 })),
      parallel: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 })),
    },
    { $id: 'StartGymRun', ...closed },
  ),
  answers: { 200: GymRun, 202: GymRun },
})

export const listGymRuns = defineRoute({
  ...gym,
  operationId: 'listGymRuns',
  method: 'GET',
  path: '/v1/gym/runs',
  summary: 'List gym runs, newest first',
  query: Type.Object(
    { ...pageQuery, suite: Type.Optional(Name), blueprint: Type.Optional(Name), state: Type.Optional(GymRunState) },
    closed,
  ),
  answers: { 200: Page(GymRun, 'GymRunPage') },
})

export const getGymRun = defineRoute({
  ...gym,
  operationId: 'getGymRun',
  method: 'GET',
  path: '/v1/gym/runs/{id}',
  summary: 'Read a gym run: progress while it runs, verdict and summary at its end',
  params: IdParams,
  answers: { 200: GymRun },
})

export const listGymSamples = defineRoute({
  ...gym,
  operationId: 'listGymSamples',
  method: 'GET',
  path: '/v1/gym/runs/{id}/samples',
  summary: 'List the samples of a run with their scores',
  params: IdParams,
  query: Type.Object({ ...pageQuery, scenario: Type.Optional(Name) }, closed),
  answers: { 200: Page(GymSample, 'GymSamplePage') },
})

export const getGymReport = defineRoute({
  ...gym,
  operationId: 'getGymReport',
  method: 'GET',
  path: '/v1/gym/runs/{id}/report',
  summary: 'The report of a run as JSON, JUnit XML or one self-contained HTML page',
  params: IdParams,
  query: Type.Object(
    {
      format: Type.Optional(StringEnum(['json', 'junit', 'html'], { default: 'json' })),
      with: Type.Optional(Type.Unsafe<Id>({ ...Id, description: 'an earlier run that it is compared with' })),
    },
    closed,
  ),
  answers: { 200: null },
  produces: '*/*',
})

export const compareGymRuns = defineRoute({
  ...gym,
  operationId: 'compareGymRuns',
  method: 'GET',
  path: '/v1/gym/runs/{id}/comparison',
  summary: 'What got better, worse or flaky since another run of the suite',
  params: IdParams,
  query: Type.Object({ with: Id }, closed),
  answers: { 200: GymComparison },
})

export const cancelGymRun = defineRoute({
  ...gym,
  operationId: 'cancelGymRun',
  method: 'POST',
  path: '/v1/gym/runs/{id}:cancel',
  summary: 'Stop a run; finished samples stay',
  params: IdParams,
  answers: { 200: GymRun },
})

export const resumeGymRun = defineRoute({
  ...gym,
  operationId: 'resumeGymRun',
  method: 'POST',
  path: '/v1/gym/runs/{id}:resume',
  summary: 'Go on with a run that was canceled or failed; finished samples are kept',
  params: IdParams,
  answers: { 200: GymRun },
})
