import type { SuiteManifest } from '@hypercode/contracts'

/** One sample to take: a scenario, and which of its repetitions. */
export interface PlannedSample {
  /** Place in the plan, from 1. A sequential rule looks at the samples in this order. */
  readonly ord: number
  readonly scenario: string
  readonly repetition: number
}

/**
 * What a run takes, all scenarios once before any of them a second time, so that a run that is judged early has seen every scenario. A
 * sequential rule decides by itself when it has seen enough, so its plan goes on to `maxSamples` unless the caller says how far.
 */
export function planSamples({ spec }: SuiteManifest, asked: number | undefined): PlannedSample[] {
  const { scenarios, gate } = spec
  const own = scenarios.map((scenario) => ({
    id: scenario.id,
    repetitions: asked ?? scenario.repetitions ?? spec.repetitions ?? 1,
  }))
  if (gate.kind === 'thresholds') return rounds(own, Number.POSITIVE_INFINITY)
  const open = own.map(({ id, repetitions }) => ({
    id,
    repetitions: asked === undefined ? gate.maxSamples : repetitions,
  }))
  return rounds(open, gate.maxSamples)
}

/** How many samples the plan would have; to refuse one that is too large before it is made. */
export function plannedCount({ spec }: SuiteManifest, asked: number | undefined): number {
  const sum = spec.scenarios.reduce((total, one) => total + (asked ?? one.repetitions ?? spec.repetitions ?? 1), 0)
  if (spec.gate.kind === 'thresholds') return sum
  return asked === undefined ? spec.gate.maxSamples : Math.min(sum, spec.gate.maxSamples)
}

function rounds(scenarios: readonly { id: string; repetitions: number }[], max: number): PlannedSample[] {
  const plan: PlannedSample[] = []
  const last = Math.max(...scenarios.map((one) => one.repetitions))
  for (let repetition = 1; repetition <= last && plan.length < max; repetition += 1) {
    for (const { id, repetitions } of scenarios) {
      if (repetition > repetitions || plan.length >= max) continue
      plan.push({ ord: plan.length + 1, scenario: id, repetition })
    }
  }
  return plan
}
