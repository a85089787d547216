import type { AuditFinding, AuditKind } from '@hypercode/contracts'
import type { InventoryFile } from './inventory/inventory.ts'
import type { Project } from './source/project.ts'
import type { SourceFile } from './source/source-file.ts'

/**
 * One kind of audit in progress. Files are visited once, in the order of their paths; what an audit remembers of a
 * file is plain data, never a node of its tree. Findings that need the whole repository come out of `finish`.
 */
export interface Audit {
  readonly kind: AuditKind
  wants(file: InventoryFile): boolean
  visit(file: SourceFile): void | Promise<void>
  finish(): AuditFinding[]
}

export type AuditFactory = (project: Project) => Audit
