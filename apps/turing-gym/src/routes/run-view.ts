import type { GymRun } from '@hypercode/contracts'
import { summarize } from '../statistics/index.ts'
import type { JudgedSample } from '../statistics/index.ts'
import { samplesOf } from '../store/run-moves.ts'
import type { RunRecord } from '../store/runs.ts'

/** A run as the API shows it; the summary of its scenarios only where its samples are at hand. */
export function viewRun(run: RunRecord, samples?: readonly JudgedSample[]): GymRun {
  return {
    id: run.id,
    suite: run.suite,
    suiteVersion: run.suiteVersion,
    blueprint: run.blueprint,
    blueprintVersion: run.blueprintVersion,
    blueprintHash: run.blueprintHash,
    state: run.state,
    rule: run.rule,
    ...(run.verdict !== null && { verdict: run.verdict }),
    reasons: [...run.reasons],
    ...(run.error !== null && { error: run.error }),
    samples: samplesOf(run),
    ...(samples !== undefined && { scenarios: summarize(samples) }),
    createdBy: run.createdBy,
    createdAt: run.createdAt.toISOString(),
    ...(run.startedAt !== null && { startedAt: run.startedAt.toISOString() }),
    ...(run.endedAt !== null && { endedAt: run.endedAt.toISOString() }),
  }
}
