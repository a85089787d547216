import type { AuditKind } from '@hypercode/contracts'
import type { FileRole } from './file-role.ts'
import type { Language } from './languages.ts'

export interface InventoryFile {
  /** Relative to the root, with forward slashes. */
  readonly path: string
  readonly bytes: number
  readonly language: Language
  readonly role: FileRole
}

/** A comment in a source that accepts findings on its line or on the line below. Without a reason it accepts nothing. */
export interface Marker {
  readonly file: string
  readonly line: number
  /** Undefined: for every kind. */
  readonly kind?: AuditKind
  readonly reason?: string
  /** The comment itself, for the report. */
  readonly text: string
}

/** One npm package of the repository. */
export interface ScriptPackage {
  /** Folder relative to the root, '' for the root itself. */
  readonly dir: string
  readonly name?: string
  readonly browser: boolean
}

/** Everything that the audits need to know about a repository before they read its sources. JSON through and through. */
export interface Inventory {
  readonly root: string
  readonly files: readonly InventoryFile[]
  /** How many files and folders were left out, by reason. */
  readonly skippedBy: Readonly<Record<string, number>>
  readonly packages: readonly ScriptPackage[]
  readonly markers: readonly Marker[]
  readonly durationMs: number
}

export interface InventoryLimits {
  readonly maxFiles: number
  readonly maxFileBytes: number
  readonly maxDepth: number
  /** Files and folders that are looked at, in all. */
  readonly maxEntries: number
}

export const DEFAULT_LIMITS: InventoryLimits = {
  maxFiles: 20_000,
  maxFileBytes: 1024 * 1024,
  maxDepth: 64,
  maxEntries: 400_000,
}
