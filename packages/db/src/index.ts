export { writeAudit } from './audit.ts'
export type { AuditEntry } from './audit.ts'
export { bootstrap, DEFAULT_TENANT_ID } from './bootstrap.ts'
export { addClients, ensureClient, revokeClient, setClientSecret } from './clients.ts'
export type { ServiceClient } from './clients.ts'
export { createLane } from './lane.ts'
export type { Lane, LaneOptions, Weights } from './lane.ts'
export { migrate, migrateDown } from './migrate.ts'
export type { MigrateOptions } from './migrate.ts'
export { openDatabase } from './open-database.ts'
export type { DatabaseHandle, DatabaseOptions } from './open-database.ts'
export { AND_COMMIT } from './pipelined-transactions.ts'
export { charsOf, readPage } from './read-page.ts'
export type { Cut } from './read-page.ts'
export { recordset } from './recordset.ts'
export { REVOCATION_SKEW_S, addRevocation, createRevocationList, deleteExpiredRevocations } from './revocations.ts'
export type { RevocableClaims, Revocation, RevocationList } from './revocations.ts'
export type {
  AgentInstanceRow,
  AgentRow,
  Database,
  Db,
  MissionRow,
  MissionTable,
  TaskRow,
  TaskTable,
  Trx,
} from './schema.ts'
export { hashSecret, verifySecret } from './secret-hash.ts'
export { inTransaction, isConnectionError, isRetryable, repeatable } from './transaction.ts'
