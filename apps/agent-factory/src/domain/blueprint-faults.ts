import { durationMs, memoryBytes } from '@hypercode/contracts'
import type { BlueprintManifest, DriverName, Fault } from '@hypercode/contracts'
import { entryFaults } from './entry-faults.ts'
import { envNameFault, reservedName } from './env-rules.ts'
import type { EnvFault } from './env-rules.ts'
import { driverOf } from './recipe.ts'

/** What this factory can do, and how much of it one blueprint may ask for. */
export interface FactoryLimits {
  readonly drivers: ReadonlySet<DriverName>
  readonly cpuMax: number
  readonly memoryMaxBytes: number
  readonly populationMax: number
  /** Variables of its own environment that it hands on when a blueprint asks for them. */
  readonly envFrom: ReadonlySet<string>
  readonly hasSecret: (name: string) => boolean
  /** True for a file below one of the folders that entries may come from, links followed. */
  readonly allowsPath: (path: string) => boolean
}

/** Faults that no schema can say: what this factory does not have, does not allow, or would not do as it is meant. */
export function blueprintFaults({ spec }: BlueprintManifest, limits: FactoryLimits): Fault[] {
  return [
    ...driverFaults(spec, limits),
    ...entryFaults(spec.entry, spec.args ?? [], limits.allowsPath),
    ...variableFaults(spec, limits),
    ...resourceFaults(spec, limits),
    ...populationFaults(spec, limits),
    ...restartFaults(spec),
  ]
}

type Spec = BlueprintManifest['spec']

function driverFaults(spec: Spec, { drivers }: FactoryLimits): Fault[] {
  const driver = driverOf(spec)
  const faults: Fault[] = []
  if (!drivers.has(driver)) {
    faults.push({
      pointer: spec.driver === undefined ? '/spec/entry' : '/spec/driver',
      message: `this factory has no ${driver} driver`,
      fix: `It has: ${[...drivers].join(', ')}.`,
    })
  }
  const isImage = 'image' in spec.entry
  if (isImage !== (driver !== 'process')) {
    faults.push({
      pointer: '/spec/entry',
      message: `does not fit the ${driver} driver`,
      fix: isImage ? 'Name a module or a path, or another driver.' : 'Name an image, or the process driver.',
    })
  }
  return faults
}

function variableFaults(spec: Spec, { envFrom, hasSecret }: FactoryLimits): Fault[] {
  const named = (at: string, names: readonly string[], rule: (name: string) => EnvFault | undefined): Fault[] =>
    names.flatMap((name) => {
      const fault = rule(name)
      return fault === undefined ? [] : [{ pointer: `${at}/${name}`, ...fault }]
    })
  const secrets = spec.secrets ?? {}
  const twice = Object.keys(secrets).filter((name) => spec.env?.[name] !== undefined)
  return [
    ...named('/spec/env', Object.keys(spec.env ?? {}), envNameFault),
    ...(spec.envFrom ?? []).flatMap((name, index): Fault[] => {
      const pointer = `/spec/envFrom/${index}`
      const reserved = envNameFault(name)
      if (reserved !== undefined) return [{ pointer, ...reserved, message: `${name} ${reserved.message}` }]
      if (envFrom.has(name)) return []
      return [
        { pointer, message: `${name} is not handed on`, fix: 'FACTORY_ENV_FROM lists what the factory hands on.' },
      ]
    }),
    ...named('/spec/secrets', Object.keys(secrets), reservedName),
    ...Object.entries(secrets).flatMap(([variable, name]): Fault[] =>
      hasSecret(name)
        ? []
        : [
            {
              pointer: `/spec/secrets/${variable}`,
              message: `the factory has no secret "${name}"`,
              fix: 'Put it into the folder FACTORY_SECRETS_DIR, closed to others.',
            },
          ],
    ),
    ...twice.map((name) => ({ pointer: `/spec/secrets/${name}`, message: 'stands in env too' })),
  ]
}

function resourceFaults({ resources }: Spec, { cpuMax, memoryMaxBytes }: FactoryLimits): Fault[] {
  const faults: Fault[] = []
  if (resources.cpu > cpuMax)
    faults.push({ pointer: '/spec/resources/cpu', message: `is more than one instance may have: ${cpuMax}` })
  if (memoryBytes(resources.memory) > memoryMaxBytes)
    faults.push({
      pointer: '/spec/resources/memory',
      message: `is more than one instance may have: ${Math.floor(memoryMaxBytes / 1024 ** 2)}Mi`,
    })
  return faults
}

function populationFaults({ population, warmPool = 0 }: Spec, { populationMax }: FactoryLimits): Fault[] {
  const faults: Fault[] = []
  const max = population?.max ?? populationMax
  if (max > populationMax)
    faults.push({ pointer: '/spec/population/max', message: `is more than a blueprint may have: ${populationMax}` })
  if (population !== undefined && population.min > population.max)
    faults.push({ pointer: '/spec/population/min', message: 'is more than max' })
  if (warmPool > max) faults.push({ pointer: '/spec/warmPool', message: `is more than the population may be: ${max}` })
  return faults
}

function restartFaults({ restart }: Spec): Fault[] {
  const { initialInterval, maxInterval } = restart ?? {}
  if (initialInterval === undefined || maxInterval === undefined) return []
  if (durationMs(initialInterval) <= durationMs(maxInterval)) return []
  return [{ pointer: '/spec/restart/initialInterval', message: 'is longer than maxInterval' }]
}
