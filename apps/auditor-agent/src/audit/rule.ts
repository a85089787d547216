import type { AuditConfidence, AuditFinding, AuditKind, AuditPriority } from '@hypercode/contracts'
import type { FileRole } from './inventory/file-role.ts'
import { maskSecrets } from './mask.ts'
import type { Lines, SourceFile } from './source/source-file.ts'

/** One thing that an audit can find. Its words are what the reader acts on. */
export interface Rule {
  readonly kind: AuditKind
  readonly id: string
  readonly title: string
  readonly priority: AuditPriority
  readonly confidence: AuditConfidence
  readonly impact: string
  readonly recommendation: string
}

/** What is particular to one place where a rule applies. */
export interface Place extends Lines {
  readonly title?: string
  readonly priority?: AuditPriority
  readonly confidence?: AuditConfidence
  readonly impact?: string
  readonly recommendation?: string
  /** Literal values that must not be printed whole. */
  readonly mask?: readonly string[]
}

const MAX_CODE_LINES = 6
const MAX_CODE_CHARS = 400

export function finding(rule: Rule, file: SourceFile, place: Place): AuditFinding {
  return {
    kind: rule.kind,
    rule: rule.id,
    priority: place.priority ?? rule.priority,
    confidence: place.confidence ?? rule.confidence,
    title: maskSecrets(place.title ?? rule.title, place.mask),
    file: file.path,
    line: place.line,
    endLine: place.endLine,
    code: maskSecrets(codeOf(file, place), place.mask),
    impact: place.impact ?? rule.impact,
    recommendation: place.recommendation ?? rule.recommendation,
  }
}

/** The lines of a place without their common indentation; long ones are cut. */
export function codeOf(file: SourceFile, { line, endLine }: Lines): string {
  const lines = file.lines.slice(line - 1, Math.min(endLine, line + MAX_CODE_LINES - 1))
  const margin = Math.min(
    ...lines.filter((text) => text.trim() !== '').map((text) => text.length - text.trimStart().length),
  )
  const code = lines.map((text) => text.slice(Number.isFinite(margin) ? margin : 0).trimEnd()).join('\n')
  const isCut = endLine - line >= MAX_CODE_LINES || code.length > MAX_CODE_CHARS
  return isCut ? `${code.slice(0, MAX_CODE_CHARS).trimEnd()} …` : code
}

/** Outside of what a service runs, the same code does less harm: one priority lower. */
export function priorityIn(role: FileRole, priority: AuditPriority): AuditPriority {
  if (role === 'source') return priority
  return priority === 'P0' ? 'P1' : 'P2'
}
