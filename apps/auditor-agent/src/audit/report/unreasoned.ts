import type { AuditFinding } from '@hypercode/contracts'
import type { Inventory, Marker } from '../inventory/inventory.ts'
import type { KindResult } from '../run-audits.ts'
import { touches } from '../suppression.ts'

/** Suppression comments without a reason: they accept nothing, and are findings of their own. */
export function unreasonedFindings(inventory: Inventory, results: readonly KindResult[]): AuditFinding[] {
  return inventory.markers.flatMap((marker) => (marker.reason === undefined ? [findingOf(marker, results)] : []))
}

function findingOf(marker: Marker, results: readonly KindResult[]): AuditFinding {
  const hit = results
    .flatMap((result) => result.findings)
    .find((finding) => finding.file === marker.file && touches(marker, finding))
  return {
    kind: marker.kind ?? hit?.kind ?? 'error-handling',
    rule: 'suppression-without-reason',
    priority: 'P2',
    confidence: 'high',
    title: 'A suppression gives no reason, so it does not count',
    file: marker.file,
    line: marker.line,
    endLine: marker.line,
    code: marker.text,
    impact: 'Nobody can tell later whether the finding was understood or only silenced.',
    recommendation:
      'Write why it is acceptable, as in "hypercode-audit-ignore: the value is public", or remove the comment and fix the cause.',
  }
}
