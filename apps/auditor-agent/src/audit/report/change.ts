import type { AuditChange, AuditFinding, AuditReport } from '@hypercode/contracts'

/** What changed between two reports on one repository, the second of them on a patched copy of it. */
export function changeOf(before: AuditReport, after: AuditReport): AuditChange {
  return {
    root: before.root,
    score: before.score,
    counts: before.counts,
    fixed: missingFrom(after.findings, before.findings),
    introduced: missingFrom(before.findings, after.findings),
  }
}

/** Those of `wanted` that are not among `found`. Lines move with every patch, so a finding is known by its rule, file and text. */
function missingFrom(found: readonly AuditFinding[], wanted: readonly AuditFinding[]): AuditFinding[] {
  const left = new Map<string, number>()
  for (const finding of found) left.set(keyOf(finding), (left.get(keyOf(finding)) ?? 0) + 1)
  return wanted.filter((finding) => {
    const count = left.get(keyOf(finding)) ?? 0
    left.set(keyOf(finding), count - 1)
    return count <= 0
  })
}

const keyOf = ({ kind, rule, file, code }: AuditFinding): string =>
  JSON.stringify([kind, rule, file, code.replaceAll(/\s+/g, ' ').trim()])
