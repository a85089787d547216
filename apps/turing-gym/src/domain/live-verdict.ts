import { createHmac } from 'node:crypto'
import type { GateRule } from '@hypercode/contracts'
import { judgeRun, judgeSequence } from '../statistics/index.ts'
import type { JudgedSample, RunJudgement } from '../statistics/index.ts'

/**
 * Whether a production task is among the share that is scored. The same for every replica, and unforeseeable for agents: one that knew
 * which of its tasks are looked at would do its best for those alone.
 */
export function isSampled(secret: string, taskId: string, share: number): boolean {
  const digest = createHmac('sha256', secret).update(`live sample ${taskId}`).digest()
  return digest.readUIntBE(0, 6) / 2 ** 48 < share
}

/** Confidence where the rule names none, and the tasks that it takes: nobody is taken down because the first task failed. */
const CONFIDENCE = 0.95
const TASKS_MIN = 10

/**
 * Applies a rule to what a stable version did in production, oldest first. Thresholds are broken only when the whole interval lies below
 * them. A sequential test that has decided for the version, or could not decide, begins anew with the next task.
 */
export function judgeLive(rule: GateRule, samples: readonly JudgedSample[]): RunJudgement {
  if (rule.kind === 'thresholds') {
    if (samples.length < TASKS_MIN) return { reasons: [] }
    return judgeRun({ ...rule, confidence: rule.confidence ?? CONFIDENCE }, samples)
  }
  let rest = samples
  while (rest.length > 0) {
    const { verdict, used } = judgeSequence(
      rule,
      rest.map(({ state }) => state === 'passed'),
    )
    if (verdict === undefined) break
    if (verdict === 'failed') return judgeRun(rule, rest)
    rest = rest.slice(used.passed + used.failed + used.unknown)
  }
  return { reasons: [] }
}
