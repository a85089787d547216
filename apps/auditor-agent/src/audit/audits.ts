import type { AuditKind } from '@hypercode/contracts'
import { agentConsistencyAudit } from './agent-consistency/agent-consistency-audit.ts'
import type { Audit, AuditFactory } from './audit.ts'
import { authenticationAudit } from './authentication/authentication-audit.ts'
import { databasePoolingAudit } from './database-pooling/database-pooling-audit.ts'
import { errorHandlingAudit } from './error-handling/error-handling-audit.ts'
import { loggingAudit } from './logging/logging-audit.ts'
import { secretsAudit } from './secrets/secrets-audit.ts'
import type { Project } from './source/project.ts'

const FACTORIES: Readonly<Record<AuditKind, AuditFactory>> = {
  secrets: secretsAudit,
  authentication: authenticationAudit,
  'error-handling': errorHandlingAudit,
  'agent-consistency': agentConsistencyAudit,
  'database-pooling': databasePoolingAudit,
  logging: loggingAudit,
}

export function createAudit(kind: AuditKind, project: Project): Audit {
  return FACTORIES[kind](project)
}
