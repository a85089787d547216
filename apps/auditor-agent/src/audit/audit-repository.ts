import { AUDIT_KINDS } from '@hypercode/contracts'
import type { AuditReport } from '@hypercode/contracts'
import { createAudit } from './audits.ts'
import { takeInventory } from './inventory/take-inventory.ts'
import type { InventoryLimits } from './inventory/inventory.ts'
import { buildReport } from './report/build-report.ts'
import { runAudits } from './run-audits.ts'
import { Project } from './source/project.ts'

export interface AuditOptions {
  readonly signal?: AbortSignal
  readonly limits?: Partial<InventoryLimits>
  readonly onProgress?: (fraction: number) => void
}

/**
 * Audits the repository at `root` in this process: every file is read and parsed once for all kinds. Throws RootError
 * when `root` is no folder that can be read, and the reason of `signal` when it is aborted.
 */
export async function auditRepository(root: string, options: AuditOptions = {}): Promise<AuditReport> {
  const started = performance.now()
  const { signal, limits, onProgress } = options
  const inventory = await takeInventory(root, {
    ...(signal !== undefined && { signal }),
    ...(limits !== undefined && { limits }),
  })
  const project = new Project(inventory)
  const audits = AUDIT_KINDS.map((kind) => createAudit(kind, project))
  const results = await runAudits(inventory, audits, {
    ...(signal !== undefined && { signal }),
    ...(onProgress !== undefined && { onProgress }),
  })
  return buildReport({ inventory, results, generatedAt: new Date(), durationMs: performance.now() - started })
}
