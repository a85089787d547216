import { durationMs, memoryBytes } from '@hypercode/contracts'
import type { BlueprintManifest, DriverName } from '@hypercode/contracts'

type Spec = BlueprintManifest['spec']

/** A blueprint with every default filled in and every length of time in milliseconds. */
export interface Recipe {
  readonly driver: DriverName
  readonly entry: Spec['entry']
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly envFrom: readonly string[]
  /** Variable and name of the secret. */
  readonly secrets: Readonly<Record<string, string>>
  readonly skills: readonly string[]
  readonly slots: number
  readonly cpu: number
  readonly memoryBytes: number
  readonly restart: RestartRule
  readonly population: { readonly min: number; readonly max: number }
  readonly warmPool: number
  /** Undefined when the blueprint does not say; then only what the scaler has made is put to sleep. */
  readonly idleTtlMs: number | undefined
  readonly readyWithinMs: number
  readonly hungAfterMs: number
  readonly gateSuites: readonly string[] | undefined
}

export interface RestartRule {
  readonly policy: 'always' | 'on-failure' | 'never'
  readonly initialMs: number
  readonly maxMs: number
  /** So many crashes within the window end in quarantine. */
  readonly crashes: number
  readonly windowMs: number
}

const DEFAULTS = {
  initialMs: 500,
  maxMs: 30_000,
  crashes: 5,
  windowMs: 60_000,
  readyWithinMs: 30_000,
  hungAfterMs: 30_000,
} as const

export function recipeOf({ spec }: BlueprintManifest, populationMax: number): Recipe {
  const { restart, population, watchdog, gate } = spec
  const initialMs = ms(restart?.initialInterval) ?? DEFAULTS.initialMs
  return {
    driver: driverOf(spec),
    entry: spec.entry,
    args: spec.args ?? [],
    env: { ...modelVariables(spec), ...spec.env },
    envFrom: spec.envFrom ?? [],
    secrets: spec.secrets ?? {},
    skills: spec.skills,
    slots: spec.slots,
    cpu: spec.resources.cpu,
    memoryBytes: memoryBytes(spec.resources.memory),
    restart: {
      policy: restart?.policy ?? 'always',
      initialMs,
      maxMs: ms(restart?.maxInterval) ?? Math.max(initialMs, DEFAULTS.maxMs),
      crashes: restart?.crashes ?? DEFAULTS.crashes,
      windowMs: ms(restart?.window) ?? DEFAULTS.windowMs,
    },
    population: { min: population?.min ?? 0, max: population?.max ?? populationMax },
    warmPool: spec.warmPool ?? 0,
    idleTtlMs: ms(spec.idleTtl),
    readyWithinMs: ms(watchdog?.readyWithin) ?? DEFAULTS.readyWithinMs,
    hungAfterMs: ms(watchdog?.hungAfter) ?? DEFAULTS.hungAfterMs,
    gateSuites: gate?.suites,
  }
}

/** The driver that the blueprint names, or the one that its entry needs. */
export const driverOf = ({ driver, entry }: Spec): DriverName => driver ?? ('image' in entry ? 'docker' : 'process')

const ms = (duration: string | undefined): number | undefined =>
  duration === undefined ? undefined : durationMs(duration)

/** What agents that ask a model read. */
function modelVariables({ model }: Spec): Record<string, string> {
  const variables = {
    MODEL_BASE_URL: model?.baseUrl,
    MODEL_NAME: model?.name,
    MODEL_INPUT_USD_PER_MTOK: model?.inputUsdPerMtok?.toString(),
    MODEL_OUTPUT_USD_PER_MTOK: model?.outputUsdPerMtok?.toString(),
  }
  return Object.fromEntries(Object.entries(variables).filter((pair): pair is [string, string] => pair[1] !== undefined))
}
