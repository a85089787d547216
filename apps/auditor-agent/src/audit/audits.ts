import type { AuditKind } from '@hypercode/contracts'
import type { Audit, AuditFactory } from './audit.ts'
import { authenticationAudit } from './authentication/authentication-audit.ts'
import { databasePoolingAudit } from './database-pooling/database-pooling-audit.ts'
import { errorHandlingAudit } from './error-handling/error-handling-audit.ts'
import { loggingAudit } from './logging/logging-audit.ts'
import { secretsAudit } from './secrets/secrets-audit.ts'
import type { Project } from './source/project.ts'

const FACTORIES: Partial<Record<AuditKind, AuditFactory>> = {
  secrets: secretsAudit,
  authentication: authenticationAudit,
  'error-handling': errorHandlingAudit,
  'database-pooling': databasePoolingAudit,
  logging: loggingAudit,
}

export function createAudit(kind: AuditKind, project: Project): Audit {
  const f = FACTORIES[kind]
  if (f === undefined) throw new Error(kind)
  return f(project)
}
