import { AUDIT_KINDS } from '@hypercode/contracts'
import type { AuditCounts, AuditFinding, AuditKind, AuditKindSummary, AuditReport } from '@hypercode/contracts'
import type { Inventory, InventoryFile } from '../inventory/inventory.ts'
import type { KindResult } from '../run-audits.ts'
import { byUrgency, countsOf } from './findings.ts'
import { SCORE_FORMULA, penaltyOf, scoreOf, weightOf } from './score.ts'
import { unreasonedFindings } from './unreasoned.ts'

/** Room for findings in one report, which has to fit into an artifact. */
const MAX_FINDINGS_CHARS = 5_000_000

export interface ReportInput {
  readonly inventory: Inventory
  readonly results: readonly KindResult[]
  readonly generatedAt: Date
  /** Of the whole audit, as the clock on the wall saw it; the sum of its parts when nobody looked. */
  readonly durationMs?: number
}

/** Puts the results of all audits together. The same input gives the same report. */
export function buildReport({ inventory, results, generatedAt, durationMs }: ReportInput): AuditReport {
  const extra = unreasonedFindings(inventory, results)
  const all = [...results.flatMap((result) => result.findings), ...extra].toSorted(byUrgency)
  const kinds = Object.fromEntries(AUDIT_KINDS.map((kind) => [kind, summaryOf(kind, results, extra)])) as Record<
    AuditKind,
    AuditKindSummary
  >
  const counts = AUDIT_KINDS.map((kind) => kinds[kind].counts).reduce(plus, { P0: 0, P1: 0, P2: 0 })
  const findings = fitting(all)
  const omittedBefore = results.reduce((sum, { omitted }) => sum + omitted, 0)
  return {
    root: inventory.root,
    generatedAt: generatedAt.toISOString(),
    files: fileCounts(inventory),
    skippedBy: skippedBy(inventory, results),
    score: scoreOf(AUDIT_KINDS.map((kind) => kinds[kind].penalty)),
    scoreFormula: SCORE_FORMULA,
    counts,
    findings,
    suppressed: results.flatMap((result) => result.suppressed).toSorted(byUrgency),
    omitted: omittedBefore + all.length - findings.length,
    kinds,
    durationMs: durationMs ?? inventory.durationMs + results.reduce((sum, result) => sum + result.durationMs, 0),
  }
}

function summaryOf(kind: AuditKind, results: readonly KindResult[], extra: readonly AuditFinding[]): AuditKindSummary {
  const result = results.find((candidate) => candidate.kind === kind)
  const added = extra.filter((finding) => finding.kind === kind)
  return {
    checkedFiles: result?.checkedFiles ?? 0,
    counts: plus(result?.counts ?? { P0: 0, P1: 0, P2: 0 }, countsOf(added)),
    suppressed: result?.suppressed.length ?? 0,
    penalty: penaltyOf(kind, (result?.weight ?? 0) + weightOf(added)),
    durationMs: result?.durationMs ?? 0,
  }
}

function plus(a: AuditCounts, b: AuditCounts): AuditCounts {
  return { P0: a.P0 + b.P0, P1: a.P1 + b.P1, P2: a.P2 + b.P2 }
}

/** The most urgent findings, as many as there is room for. */
function fitting(findings: readonly AuditFinding[]): AuditFinding[] {
  let room = MAX_FINDINGS_CHARS
  return findings.filter((finding) => (room -= JSON.stringify(finding).length) > 0)
}

function fileCounts({ files, skippedBy: skipped }: Inventory): AuditReport['files'] {
  const count = (isIt: (file: InventoryFile) => boolean): number => files.filter(isIt).length
  const python = count(({ language }) => language === 'python')
  const typescript = count(({ language }) => language === 'typescript' || language === 'tsx')
  const javascript = count(({ language }) => language === 'javascript')
  return {
    total: files.length,
    python,
    typescript,
    javascript,
    other: files.length - python - typescript - javascript,
    skipped: Object.values(skipped).reduce((sum, number) => sum + number, 0),
  }
}

/** Files that an audit gave up on are counted beside those that the inventory left out. */
function skippedBy(inventory: Inventory, results: readonly KindResult[]): Record<string, number> {
  const failed = new Set(results.flatMap(({ failures }) => failures.map(({ file }) => file))).size
  return failed === 0 ? { ...inventory.skippedBy } : { ...inventory.skippedBy, 'not analysable': failed }
}
