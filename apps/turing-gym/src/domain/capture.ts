import type { Scenario, Scorer, SuiteManifest } from '@hypercode/contracts'

/** A task that came to an end by itself. */
export interface FinishedTask {
  readonly id: string
  readonly skill: string
  readonly state: 'completed' | 'failed' | 'rejected'
  readonly input: unknown
  readonly output: unknown
}

/** A task as a scenario: the same input, and what is expected is what came of it, unless the caller says otherwise. */
export function captured(task: FinishedTask, id: string, scorers: readonly Scorer[] | undefined): Scenario {
  const expected: Scorer[] =
    task.state === 'completed' ? [{ kind: 'equals', value: task.output }] : [{ kind: 'outcome', is: task.state }]
  return {
    id,
    description: `captured from task ${task.id}`,
    skill: task.skill,
    input: task.input,
    scorers: scorers === undefined ? expected : [...scorers],
  }
}

/** The suite with one scenario more; a new one asks that all of its scenarios pass. */
export function withScenario(latest: SuiteManifest | undefined, name: string, scenario: Scenario): SuiteManifest {
  if (latest !== undefined) {
    return { ...latest, spec: { ...latest.spec, scenarios: [...latest.spec.scenarios, scenario] } }
  }
  return {
    apiVersion: 'hypercode/v1',
    kind: 'Suite',
    metadata: { name },
    spec: { skill: scenario.skill as string, gate: { kind: 'thresholds', passRate: 1 }, scenarios: [scenario] },
  }
}
