import type { AuditFinding } from '@hypercode/contracts'
import type { Audit } from '../audit.ts'
import { isScript } from '../inventory/languages.ts'
import { auditPythonErrors } from './python-errors.ts'
import { auditScriptErrors } from './script-errors.ts'

const IGNORED_ROLES = new Set(['test', 'docs', 'ci'])

/** Finds exceptions and rejections that nobody will ever hear of. Each file speaks for itself. */
export function errorHandlingAudit(): Audit {
  const findings: AuditFinding[] = []
  return {
    kind: 'error-handling',
    wants: (file) => !IGNORED_ROLES.has(file.role) && (file.language === 'python' || isScript(file.language)),
    visit(file) {
      findings.push(...(file.entry.language === 'python' ? auditPythonErrors(file) : auditScriptErrors(file)))
    },
    finish: () => findings,
  }
}
