import type { GateRule, Verdict } from '@hypercode/contracts'

export type SequentialRule = Extract<GateRule, { kind: 'sequential' }>

/** What a sequential test says after the results so far. */
export interface SequentialDecision {
  /** Absent while the test needs more results. */
  readonly verdict?: Verdict
  /** Results that the decision rests on. Those that came later change nothing. */
  readonly used: { readonly passed: number; readonly failed: number; readonly unknown: number }
  /** Logarithm of how much better `good` explains the results than `bad`, and the bounds that it has to cross. */
  readonly evidence: { readonly low: number; readonly high: number; readonly toPass: number; readonly toFail: number }
}

/**
 * Wald's sequential probability ratio test between the pass rates `good` and `bad`.
 * - T1: a version as bad as `bad` passes with a chance of at most `alpha`, one as good as `good` fails with at most `beta`. The bounds are
 *   1 / alpha and beta, for which this holds exactly (Ville's inequality); Wald's own are a little tighter and only nearly hold.
 * - T2: the first bound that is crossed decides. `results` come in the order of the plan and not of their end: what is quick to fail must
 *   not be heard first.
 * - T3: `undefined` is a sample that could not be judged. It stands against whatever would be decided, so leaving samples without a result
 *   is of no use to anybody.
 */
export function judgeSequence(rule: SequentialRule, results: Iterable<boolean | undefined>): SequentialDecision {
  const step = { pass: Math.log(rule.good / rule.bad), fail: Math.log((1 - rule.good) / (1 - rule.bad)) }
  const toPass = -Math.log(rule.alpha)
  const toFail = Math.log(rule.beta)
  const used = { passed: 0, failed: 0, unknown: 0 }
  let low = 0
  let high = 0
  const decided = (verdict?: Verdict): SequentialDecision => ({
    ...(verdict !== undefined && { verdict }),
    used,
    evidence: { low, high, toPass, toFail },
  })
  for (const result of results) {
    if (result === undefined) used.unknown += 1
    else used[result ? 'passed' : 'failed'] += 1
    low += result === true ? step.pass : step.fail // T3
    high += result === false ? step.fail : step.pass
    if (low >= toPass) return decided('passed')
    if (high <= toFail) return decided('failed')
    if (used.passed + used.failed + used.unknown >= rule.maxSamples) return decided('inconclusive')
  }
  return decided()
}
