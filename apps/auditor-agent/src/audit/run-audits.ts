import type { AuditCounts, AuditFinding, AuditKind, SuppressedFinding } from '@hypercode/contracts'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Audit } from './audit.ts'
import type { Inventory, InventoryFile } from './inventory/inventory.ts'
import { byUrgency, countsOf } from './report/findings.ts'
import { weightOf } from './report/score.ts'
import { SourceFile } from './source/source-file.ts'
import { applyMarkers } from './suppression.ts'

const MAX_FINDINGS = 1_500
const MAX_FAILURES = 500

/** What one kind of audit found in a repository; JSON through and through. */
export interface KindResult {
  readonly kind: AuditKind
  readonly checkedFiles: number
  /** The most urgent ones; `counts` and `weight` speak of all. */
  readonly findings: readonly AuditFinding[]
  readonly omitted: number
  readonly counts: AuditCounts
  readonly weight: number
  readonly suppressed: readonly SuppressedFinding[]
  /** Files that an audit could not get through, with the reason. */
  readonly failures: readonly { readonly file: string; readonly reason: string }[]
  readonly durationMs: number
}

export interface RunOptions {
  readonly signal?: AbortSignal
  /** Called about once a second with the share of files that are done, 0 to 1. */
  readonly onProgress?: (fraction: number) => void | Promise<void>
}

/**
 * Runs audits over the files of an inventory. Each file is read and parsed once, however many audits look at it, and
 * forgotten before the next one. A file that an audit stumbles over is noted and costs only itself.
 */
export async function runAudits(
  inventory: Inventory,
  audits: readonly Audit[],
  { signal, onProgress }: RunOptions = {},
): Promise<KindResult[]> {
  const runs = audits.map((audit) => new Run(audit))
  let reportedAt = performance.now()
  for (const [index, entry] of inventory.files.entries()) {
    const interested = runs.filter((run) => run.audit.wants(entry))
    if (interested.length > 0) await visit(inventory.root, entry, interested)
    if (performance.now() - reportedAt < 250) continue
    // The loop is synchronous at heart: let heartbeats and cancellation through.
    await new Promise((resolve) => setImmediate(resolve))
    signal?.throwIfAborted()
    await onProgress?.((index + 1) / inventory.files.length)
    reportedAt = performance.now()
  }
  signal?.throwIfAborted()
  return runs.map((run) => run.result(inventory))
}

async function visit(root: string, entry: InventoryFile, runs: readonly Run[]): Promise<void> {
  let file: SourceFile
  try {
    // Small and soon done; handing each file to the thread pool would cost more than reading it.
    file = new SourceFile(entry, readFileSync(join(root, entry.path), 'utf8'))
  } catch (error) {
    for (const run of runs) run.fail(entry.path, error)
    return
  }
  for (const run of runs) await run.visit(file)
}

class Run {
  readonly audit: Audit
  readonly #failures: { file: string; reason: string }[] = []
  #checkedFiles = 0
  #durationMs = 0

  constructor(audit: Audit) {
    this.audit = audit
  }

  async visit(file: SourceFile): Promise<void> {
    const started = performance.now()
    try {
      await this.audit.visit(file)
      this.#checkedFiles++
    } catch (error) {
      this.fail(file.path, error)
    }
    this.#durationMs += performance.now() - started
  }

  fail(file: string, error: unknown): void {
    this.#failures.push({ file, reason: error instanceof Error ? error.message : String(error) })
  }

  result(inventory: Inventory): KindResult {
    const started = performance.now()
    const found = this.audit.finish().filter((finding) => finding.line >= 1)
    const { findings, suppressed } = applyMarkers(found, inventory.markers)
    return {
      kind: this.audit.kind,
      checkedFiles: this.#checkedFiles,
      findings: findings.toSorted(byUrgency).slice(0, MAX_FINDINGS),
      omitted: Math.max(0, findings.length - MAX_FINDINGS),
      counts: countsOf(findings),
      weight: weightOf(findings),
      suppressed: suppressed.slice(0, MAX_FINDINGS),
      failures: this.#failures.slice(0, MAX_FAILURES),
      durationMs: this.#durationMs + performance.now() - started,
    }
  }
}
