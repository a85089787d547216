import type { Fault, Scenario, Scorer } from '@hypercode/contracts'
import { PatternError, SchemaError, compileRegex, compileSchema } from '@hypercode/manifest'
import { PathError, compilePath } from '../scoring/json-path.ts'
import type { ScorerModules } from '../scoring/scorer-modules.ts'
import { textsTwice } from './texts-twice.ts'
import { pathFaults } from './workspace-faults.ts'

/** What a list of scorers may rely on. */
export interface ScorerSetting {
  readonly modules: ScorerModules
  readonly hasJudge: boolean
  /** They score tasks of production, which have no workspace and no faults. */
  readonly isLive: boolean
  readonly scenario?: Scenario
}

/** Faults of a list of scorers that a schema cannot say. */
export function scorerFaults(scorers: readonly Scorer[], at: string, setting: ScorerSetting): Fault[] {
  const noWeight = scorers.every(({ weight }) => weight === 0)
  return [
    ...textsTwice(
      scorers.map(({ name }) => name),
      (index) => `${at}/${index}/name`,
    ),
    ...(noWeight ? [{ pointer: at, message: 'every weight is 0', fix: 'One scorer at least has to count.' }] : []),
    ...scorers.flatMap((scorer, index) => [
      ...placeFaults(scorer, `${at}/${index}`),
      ...kindFaults(scorer, `${at}/${index}`, setting),
    ]),
  ]
}

function placeFaults(scorer: Scorer, at: string): Fault[] {
  if (!('at' in scorer) || scorer.at === undefined) return []
  const { at: path } = scorer
  return faultOf(PathError, `${at}/at`, () => compilePath(path))
}

function kindFaults(scorer: Scorer, at: string, setting: ScorerSetting): Fault[] {
  switch (scorer.kind) {
    case 'regex':
      return faultOf(PatternError, `${at}/pattern`, () => compileRegex(scorer.pattern))
    case 'schema':
      return faultOf(SchemaError, `${at}/schema`, () => compileSchema(scorer.schema))
    case 'path':
      return scorer.exists === false && scorer.value !== undefined
        ? [{ pointer: `${at}/value`, message: 'what is not there has no value' }]
        : []
    case 'file-exists':
    case 'file-contains':
    case 'file-equals':
      return needsWorkspace(at, setting)
    case 'command':
      return [...needsWorkspace(at, setting), ...pathFaults(scorer.files ?? {}, `${at}/files`)]
    case 'resilience':
      return setting.scenario?.faults === undefined || setting.scenario.faults.length === 0
        ? [
            {
              pointer: at,
              message: 'nothing is done to the sample that it could resist',
              fix: 'Give the scenario faults.',
            },
          ]
        : []
    case 'judge':
      return setting.hasJudge
        ? []
        : [
            {
              pointer: at,
              message: 'a judge needs calibration',
              fix: 'Add spec.judge with cases that people have judged.',
            },
          ]
    case 'module':
      return moduleFaults(scorer, at, setting.modules)
    default:
      return []
  }
}

function needsWorkspace(at: string, { scenario, isLive }: ScorerSetting): Fault[] {
  if (isLive) return [{ pointer: at, message: 'tasks of production have no workspace that could be looked at' }]
  return scenario?.workspace === undefined ? [{ pointer: at, message: 'the scenario has no workspace' }] : []
}

function moduleFaults(scorer: Extract<Scorer, { kind: 'module' }>, at: string, modules: ScorerModules): Fault[] {
  const loaded = modules.get(scorer.module)
  if (loaded === undefined) {
    const known = modules.size === 0 ? 'It has none.' : `It has ${[...modules.keys()].join(', ')}.`
    return [{ pointer: `${at}/module`, message: `this gym has no scorer module "${scorer.module}"`, fix: known }]
  }
  return loaded.optionFaults(scorer.options).map((message) => ({ pointer: `${at}/options`, message }))
}

function faultOf(
  Kind: typeof PathError | typeof PatternError | typeof SchemaError,
  pointer: string,
  compile: () => unknown,
): Fault[] {
  try {
    compile()
    return []
  } catch (error) {
    if (!(error instanceof Kind)) throw error
    return [{ pointer, message: error.message }]
  }
}
