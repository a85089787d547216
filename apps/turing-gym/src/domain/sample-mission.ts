import { durationMs } from '@hypercode/contracts'
import type { GymFault, Scenario, SubmitMission, SuiteManifest } from '@hypercode/contracts'
import type { ModelFault } from '../chaos/index.ts'

/** Bounds of one sample. Time in milliseconds. */
export interface SampleLimits {
  readonly timeMs: number
  readonly tokens: number | undefined
  readonly usd: number | undefined
}

export function limitsOf({ spec }: SuiteManifest, { limits }: Scenario, defaultTimeMs: number): SampleLimits {
  const time = limits?.time ?? spec.limits?.time
  return {
    timeMs: time === undefined ? defaultTimeMs : durationMs(time),
    tokens: limits?.tokens ?? spec.limits?.tokens,
    usd: limits?.usd ?? spec.limits?.usd,
  }
}

export type KillFault = Extract<GymFault, { kill: 'agent' }>

export const killsOf = ({ faults = [] }: Scenario): KillFault[] =>
  faults.filter((fault): fault is KillFault => 'kill' in fault)
export const modelFaultsOf = ({ faults = [] }: Scenario): ModelFault[] =>
  faults.filter((fault): fault is ModelFault => !('kill' in fault))

export interface SampleOrder {
  readonly runId: string
  readonly suite: SuiteManifest
  readonly scenario: Scenario
  readonly blueprint: { readonly name: string; readonly version: number }
  readonly pool: string
  /** What the agent gets. */
  readonly input: unknown
  readonly timeMs: number
  /** How long the task may wait for an instance, milliseconds. */
  readonly queueMs: number
}

/** As an ordinary mission is tried: what a transient failure costs in production, it may cost here. */
const ATTEMPTS = 3

/**
 * The mission of one sample: a single task for instances of exactly this version in this pool. Of the scenario it holds the input and
 * nothing else. The input is handed over whole, so that a `${…}` in it stays the text that it is.
 */
export function sampleMission({ runId, suite, scenario, blueprint, pool, ...order }: SampleOrder): SubmitMission {
  const kills = killsOf(scenario).reduce((sum, { times = 1 }) => sum + times, 0)
  return {
    input: order.input ?? null,
    labels: { 'gym/run': runId },
    manifest: {
      apiVersion: 'hypercode/v1',
      kind: 'Crew',
      metadata: { name: 'gym' },
      spec: {
        members: [
          {
            id: 'agent',
            skill: scenario.skill ?? suite.spec.skill,
            blueprint: `${blueprint.name}@${blueprint.version}`,
            pool,
          },
        ],
        tasks: [
          {
            id: 'sample',
            member: 'agent',
            input: '${mission.input}',
            retry: { maxAttempts: ATTEMPTS + kills, initialInterval: '100ms', maxInterval: '2s' },
            timeouts: { queue: `${order.queueMs}ms`, total: `${order.timeMs}ms` },
          },
        ],
      },
    },
  }
}

const WORKSPACE = '${workspace}'

/** The input with the folder of the sample in the place of every `${workspace}`. */
export function fillWorkspace(input: unknown, folder: string): unknown {
  if (typeof input === 'string') return input.replaceAll(WORKSPACE, () => folder)
  if (Array.isArray(input)) return input.map((one) => fillWorkspace(one, folder))
  if (typeof input !== 'object' || input === null) return input
  return Object.fromEntries(Object.entries(input).map(([key, value]) => [key, fillWorkspace(value, folder)]))
}

/** The end of an id alone is random; what comes before it is the time. */
const shortOf = (id: string): string => id.slice(-12)

/** Every pool of a run begins with this. */
export const poolPrefix = (runId: string): string => `gym-${shortOf(runId)}`

/** A sample with faults has instances of its own, new ones in every try, so that no other sample suffers from what is done to them. */
export const poolOfSample = (runId: string, sampleId: string, attempt: number): string =>
  `${poolPrefix(runId)}-${shortOf(sampleId)}-${attempt}`
