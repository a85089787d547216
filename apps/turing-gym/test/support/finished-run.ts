import { newId } from '@hypercode/contracts'
import type { GymRun, GymSample } from '@hypercode/contracts'
import { compareRuns, judgeRun, summarize } from '../../src/statistics/index.ts'
import type { ReportInput } from '../../src/report/index.ts'
import { seeded } from './random.ts'

export interface RunShape {
  /** Scenarios with their true pass rates. */
  readonly rates: Readonly<Record<string, number>>
  readonly repetitions: number
  readonly seed?: number
}

const RULE = { kind: 'thresholds', passRate: 0.85, confidence: 0.9, perScenario: 0.5 } as const

/** A run as the gym leaves it, with samples drawn from the given pass rates. */
export function finishedRun({ rates, repetitions, seed = 1 }: RunShape): ReportInput {
  const random = seeded(seed)
  const samples = Array.from({ length: repetitions }, (_, index) => index + 1).flatMap((repetition) =>
    Object.entries(rates).map(([scenario, rate]) => sampleOf(scenario, repetition, random() < rate, random)),
  )
  const { verdict, reasons } = judgeRun(RULE, samples)
  const passed = samples.filter(({ state }) => state === 'passed').length
  const run: GymRun = {
    id: newId(),
    suite: 'coder-basics',
    suiteVersion: 4,
    blueprint: 'coder',
    blueprintVersion: 12,
    blueprintHash: '9f2c4e8b7a1d3056c4e8b7a1d30569f2c4e8b7a1d3056c4e8b7a1d30569f2c4e',
    state: 'completed',
    rule: RULE,
    ...(verdict !== undefined && { verdict }),
    reasons: [...reasons],
    samples: { planned: samples.length, finished: samples.length, passed, failed: samples.length - passed, errored: 0 },
    scenarios: summarize(samples),
    createdBy: 'ci',
    createdAt: '2026-11-20T08:00:00.000Z',
    startedAt: '2026-11-20T08:00:02.000Z',
    endedAt: '2026-11-20T08:07:44.000Z',
  }
  return { run, samples }
}

/** The same with what changed since an earlier run. */
export function comparedRun(now: RunShape, before: RunShape): ReportInput {
  const [run, baseline] = [finishedRun(now), finishedRun(before)]
  const comparison = compareRuns(
    { id: run.run.id, samples: run.samples },
    { id: baseline.run.id, samples: baseline.samples },
  )
  return { ...run, comparison }
}

function sampleOf(scenario: string, repetition: number, passed: boolean, random: () => number): GymSample {
  const latencyMs = 2000 + 9000 * random() ** 2 + (passed ? 0 : 3000 * random()) + scenario.length * 120
  const tokens = Math.round(3000 + 9000 * random())
  return {
    id: newId(),
    scenario,
    repetition,
    state: passed ? 'passed' : 'failed',
    outcome: 'completed',
    output: {
      summary: passed ? 'Fixed the off-by-one in src/range.ts.' : 'I could not find it.',
      files: ['src/range.ts'],
    },
    scores: [
      { scorer: 'outcome', kind: 'outcome', score: 1, passed: true },
      passed
        ? { scorer: 'tests', kind: 'command', score: 1, passed: true }
        : {
            scorer: 'tests',
            kind: 'command',
            score: 0,
            passed: false,
            detail: 'node --test exited with 1:\n✖ range ends before its end',
          },
      { scorer: 'calls', kind: 'tool-calls', score: 1, passed: true },
    ],
    score: passed ? 1 : 0.67,
    latencyMs,
    tokens,
    usd: tokens * 0.0000042,
    endedAt: '2026-11-20T08:05:00.000Z',
  }
}
