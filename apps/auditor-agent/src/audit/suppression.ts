import type { AuditFinding, SuppressedFinding } from '@hypercode/contracts'
import type { Marker } from './inventory/inventory.ts'

const REACH = 6

/** Splits findings into those that stand and those that the source accepts with a reason. */
export function applyMarkers(
  found: readonly AuditFinding[],
  markers: readonly Marker[],
): { findings: AuditFinding[]; suppressed: SuppressedFinding[] } {
  const byFile = Map.groupBy(markers, (marker) => marker.file)
  const findings: AuditFinding[] = []
  const suppressed: SuppressedFinding[] = []
  for (const finding of found) {
    const accepting = byFile
      .get(finding.file)
      ?.find((marker) => marker.reason !== undefined && touches(marker, finding))
    if (accepting?.reason === undefined) findings.push(finding)
    else suppressed.push({ ...finding, reason: accepting.reason })
  }
  return { findings, suppressed }
}

/** A marker speaks for the line below it, and for any of the first lines of the code that is reported. */
export function touches(marker: Marker, finding: AuditFinding): boolean {
  if (marker.kind !== undefined && marker.kind !== finding.kind) return false
  const last = Math.min(finding.endLine, finding.line + REACH - 1)
  return marker.line >= finding.line - 1 && marker.line <= last
}
