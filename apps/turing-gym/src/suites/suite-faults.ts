import type { Fault, GateRule, SuiteManifest } from '@hypercode/contracts'
import type { ScorerModules } from '../scoring/scorer-modules.ts'
import { faultFaults } from './fault-faults.ts'
import { scorerFaults } from './scorer-faults.ts'
import type { ScorerSetting } from './scorer-faults.ts'
import { textsTwice } from './texts-twice.ts'
import { workspaceFaults } from './workspace-faults.ts'

/** Faults that a schema cannot say. Patterns and lengths of time may still be wrong here, and are then told by the schema. */
export function suiteFaults({ spec }: SuiteManifest, modules: ScorerModules): Fault[] {
  const setting: ScorerSetting = { modules, hasJudge: spec.judge !== undefined, isLive: false }
  return [
    ...textsTwice(
      spec.scenarios.map(({ id }) => id),
      (index) => `/spec/scenarios/${index}/id`,
    ),
    ...ruleFaults(spec.gate, '/spec/gate'),
    ...spec.scenarios.flatMap((scenario, index) => {
      const at = `/spec/scenarios/${index}`
      return [
        ...workspaceFaults(scenario, at),
        ...faultFaults(scenario, at),
        ...scorerFaults(scenario.scorers, `${at}/scorers`, { ...setting, scenario }),
      ]
    }),
    ...judgeFaults({ spec }),
    ...(spec.live === undefined
      ? []
      : [
          ...scorerFaults(spec.live.scorers, '/spec/live/scorers', { ...setting, isLive: true }),
          ...ruleFaults(spec.live.rule, '/spec/live/rule'),
        ]),
  ]
}

function ruleFaults(rule: GateRule, at: string): Fault[] {
  if (rule.kind === 'thresholds') return []
  const faults: Fault[] = []
  if (rule.good <= rule.bad) {
    faults.push({
      pointer: `${at}/good`,
      message: `must be more than bad (${rule.bad})`,
      fix: 'good is the true pass rate that must pass, bad the one that must not.',
    })
  }
  // The fewest that can decide: all of them passed. Between equal rates nothing can.
  const fewest = rule.good <= rule.bad ? 0 : Math.ceil(-Math.log(rule.alpha) / Math.log(rule.good / rule.bad))
  if (rule.maxSamples < fewest) {
    faults.push({
      pointer: `${at}/maxSamples`,
      message: `cannot ever pass: even without a fail that takes ${fewest} samples`,
    })
  }
  return faults
}

/** A judge that nobody asks is harmless; one whose cases all have one answer agrees with them without reading. */
function judgeFaults({ spec: { judge } }: Pick<SuiteManifest, 'spec'>): Fault[] {
  if (judge === undefined) return []
  const passes = new Set(judge.calibration.map((one) => one.passes))
  if (passes.size === 2) return []
  return [
    {
      pointer: '/spec/judge/calibration',
      message: 'all cases have the same answer',
      fix: 'Add at least one that passes and one that does not.',
    },
  ]
}
