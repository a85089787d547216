import type { BlueprintManifest, Fault, SuiteManifest } from '@hypercode/contracts'
import type { BlueprintVersion } from '../store/blueprints.ts'
import { modelFaultsOf } from './sample-mission.ts'

/** What this gym can do. */
export interface GymMeans {
  readonly hasModel: boolean
  readonly hasSandbox: boolean
}

/** Where instances of a blueprint find their model, as far as it says; its env goes before its model, as with the factory. */
export const modelUrlOf = ({ spec }: BlueprintManifest): string | undefined =>
  spec.env?.['MODEL_BASE_URL'] ?? spec.model?.baseUrl

/** Why samples of the suite could not be taken, or not be judged, with this blueprint in this gym. Said before a run begins, not by all of its samples. */
export function runFaults({ spec }: SuiteManifest, { manifest }: BlueprintVersion, means: GymMeans): Fault[] {
  const { skills } = manifest.spec
  const kinds = new Set(spec.scenarios.flatMap(({ scorers }) => scorers.map(({ kind }) => kind)))
  const lacking = [...new Set(spec.scenarios.map(({ skill }) => skill ?? spec.skill))].filter(
    (skill) => !skills.includes(skill),
  )
  const needsUpstream = spec.scenarios.some((scenario) => modelFaultsOf(scenario).length > 0)
  return [
    ...lacking.map((skill) => ({
      pointer: '/blueprint',
      message: `does not offer the skill ${skill} that the suite asks for`,
    })),
    ...(kinds.has('judge') && !means.hasModel
      ? [
          {
            pointer: '/suite',
            message: 'has a judge, and the gym has no model',
            fix: 'Set MODEL_BASE_URL and MODEL_NAME of the gym.',
          },
        ]
      : []),
    ...(kinds.has('command') && !means.hasSandbox
      ? [
          {
            pointer: '/suite',
            message: 'runs commands, and the gym has no sandbox',
            fix: 'Install bubblewrap on the machine of the gym.',
          },
        ]
      : []),
    ...(needsUpstream && modelUrlOf(manifest) === undefined && !means.hasModel
      ? [
          {
            pointer: '/suite',
            message: 'has faults of a model, and nobody names one',
            fix: 'Name one in the blueprint, or set MODEL_BASE_URL of the gym.',
          },
        ]
      : []),
  ]
}
