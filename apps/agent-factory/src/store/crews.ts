import type { CrewManifest } from '@hypercode/contracts'
import type { Db } from '@hypercode/db'
import { sql } from 'kysely'

export interface CrewRecord {
  readonly name: string
  readonly version: number
  readonly manifest: CrewManifest
}

/** The version, or the latest when none is named. */
export async function findCrew(
  db: Db,
  tenantId: string,
  name: string,
  version: number | undefined,
): Promise<CrewRecord | undefined> {
  const found = await sql<CrewRecord>`select name, version, manifest from crews
    where tenant_id = ${tenantId} and name = ${name} ${version === undefined ? sql`` : sql`and version = ${version}`}
    order by version desc limit 1`.execute(db)
  return found.rows[0]
}

/** Agent instances that would be given work of all these claim skills now; a hundred of them at most. */
export async function findReadyAgents(db: Db, tenantId: string, skills: readonly string[]): Promise<string[]> {
  const found = await sql<{ id: string }>`select a.id from agent_instances a
    where a.tenant_id = ${tenantId} and a.lifecycle = 'ready' and a.lease_expires_at > now() and a.skills @> ${[...skills]}::text[]
    order by a.id limit 100`.execute(db)
  return found.rows.map((row) => row.id)
}

export interface Candidate {
  readonly id: string
  readonly lifecycle: string
  readonly reason: string | null
  readonly isAsleep: boolean
}

/** Live members of a version, those of one pool or of none. Quarantined ones are no candidates: only a person lets them go on. */
export async function findCandidates(
  db: Db,
  tenantId: string,
  { blueprint, version, pool }: { blueprint: string; version: number; pool: string | undefined },
): Promise<Candidate[]> {
  const found = await sql<Candidate>`select f.id, f.lifecycle, f.reason,
      f.lifecycle = 'hibernating' and f.desired = 'hibernating' as "isAsleep"
    from factory_instances f where f.tenant_id = ${tenantId} and f.blueprint = ${blueprint} and f.version = ${version}
      and f.pool is not distinct from ${pool ?? null} and f.role = 'member' and f.ended_at is null and f.desired <> 'stopped'
      and f.lifecycle <> 'quarantined'
    order by f.id`.execute(db)
  return found.rows
}
