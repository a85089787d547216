import type { Trx } from '@hypercode/db'
import { sql } from 'kysely'

/** Signals of a mission that wait for their wait. */
export const SIGNALS_KEPT_MAX = 1000

export interface NewSignal {
  id: string
  tenantId: string
  missionId: string
  name: string
  taskKey: string | undefined
  payload: unknown
  idempotencyKey: string | undefined
  /** SHA-256 of the request, in hex; tells a repeat from another request with the same key. */
  requestHash: string
  sentBy: string
}

export interface KnownSignal {
  id: string
  requestHash: string
  takenBy: string | null
}

/** The signal of this key, if there is one. The mission must be locked. */
export async function findSignal(trx: Trx, missionId: string, key: string): Promise<KnownSignal | undefined> {
  const found = await sql<KnownSignal>`
    select id, request_hash as "requestHash", taken_by as "takenBy" from signals where mission_id = ${missionId} and idempotency_key = ${key}`.execute(
    trx,
  )
  return found.rows[0]
}

/** Stores a signal, not taken yet. The mission must be locked. Answers false when it keeps as many as it may. */
export async function storeSignal(trx: Trx, signal: NewSignal): Promise<boolean> {
  const stored = await sql`
    insert into signals (id, tenant_id, mission_id, name, task_key, payload, idempotency_key, request_hash, sent_by)
    select ${signal.id}, ${signal.tenantId}, ${signal.missionId}, ${signal.name}, ${signal.taskKey ?? null}, ${JSON.stringify(signal.payload ?? null)}::jsonb,
      ${signal.idempotencyKey ?? null}, ${signal.requestHash}, ${signal.sentBy}
    where (select count(*) from signals s where s.mission_id = ${signal.missionId} and s.taken_at is null) < ${SIGNALS_KEPT_MAX}`.execute(
    trx,
  )
  return stored.numAffectedRows === 1n
}
