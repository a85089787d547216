import { AUDIT_KINDS } from '@hypercode/contracts'
import type { AuditCounts, AuditFinding } from '@hypercode/contracts'

export function countsOf(findings: readonly AuditFinding[]): AuditCounts {
  const counts = { P0: 0, P1: 0, P2: 0 }
  for (const { priority } of findings) counts[priority]++
  return counts
}

const CONFIDENCES = ['high', 'medium', 'low']

/** Priority, confidence, kind in the order of the report, then place. */
export function byUrgency(a: AuditFinding, b: AuditFinding): number {
  return (
    compare(a.priority, b.priority) ||
    CONFIDENCES.indexOf(a.confidence) - CONFIDENCES.indexOf(b.confidence) ||
    AUDIT_KINDS.indexOf(a.kind) - AUDIT_KINDS.indexOf(b.kind) ||
    compare(a.file, b.file) ||
    a.line - b.line ||
    compare(a.rule, b.rule)
  )
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
