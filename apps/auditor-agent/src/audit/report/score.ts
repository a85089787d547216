import type { AuditFinding, AuditKind } from '@hypercode/contracts'
import { AUDIT_KINDS } from '@hypercode/contracts'

const WEIGHT = { P0: 4, P1: 2, P2: 0.5 } as const
const CONFIDENCE = { high: 1, medium: 0.6, low: 0.3 } as const

/** The most that one kind can take; together they are the whole score. */
const CAP: Readonly<Record<AuditKind, number>> = {
  secrets: 25,
  authentication: 25,
  'error-handling': 20,
  'agent-consistency': 10,
  'database-pooling': 10,
  logging: 10,
}

export const SCORE_FORMULA = `100 minus the penalty of each kind, rounded down. A finding weighs ${WEIGHT.P0} (P0), ${WEIGHT.P1} (P1) or ${WEIGHT.P2} (P2), times ${CONFIDENCE.high} (high confidence), ${CONFIDENCE.medium} (medium) or ${CONFIDENCE.low} (low); a kind takes no more than ${AUDIT_KINDS.map((kind) => `${CAP[kind]} (${kind})`).join(', ')}.`

/** The weight of findings before any cap; adding a finding always adds to it. */
export function weightOf(findings: readonly Pick<AuditFinding, 'priority' | 'confidence'>[]): number {
  // Whole tenths of a hundredth, so that the order of the findings cannot change the sum.
  const sum = findings.reduce(
    (total, { priority, confidence }) => total + Math.round(WEIGHT[priority] * CONFIDENCE[confidence] * 1000),
    0,
  )
  return sum / 1000
}

export function penaltyOf(kind: AuditKind, weight: number): number {
  return Math.min(CAP[kind], weight)
}

/** 0 to 100. Anything found, however small, keeps a repository below 100. */
export function scoreOf(penalties: readonly number[]): number {
  const total = penalties.reduce((sum, penalty) => sum + penalty, 0)
  return Math.max(0, Math.floor(100 - total + 1e-9))
}
