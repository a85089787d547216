import type { Crash, DriverName, Labels, Lifecycle } from '@hypercode/contracts'
import type { Db, Trx } from '@hypercode/db'
import { sql } from 'kysely'
import type { RawBuilder } from 'kysely'
import type { Handle } from '../drivers/driver.ts'

/** An instance as it is read by people. */
export interface InstanceRecord {
  readonly id: string
  readonly blueprint: string
  readonly version: number
  readonly hash: string
  readonly driver: DriverName
  readonly role: 'member' | 'spare'
  readonly pool: string | null
  readonly labels: Labels
  readonly lifecycle: Lifecycle
  readonly desired: 'running' | 'hibernating' | 'stopped'
  readonly reason: string | null
  readonly clientId: string
  readonly agentId: string | null
  readonly agentInstanceId: string | null
  readonly handle: Handle | null
  readonly starts: number
  readonly crashes: Crash[]
  readonly lastLines: string[] | null
  readonly createdAt: Date
  readonly startedAt: Date | null
  readonly readyAt: Date | null
  readonly endedAt: Date | null
}

export interface InstanceFilter {
  readonly blueprint?: string | undefined
  readonly lifecycle?: Lifecycle | undefined
  readonly pool?: string | undefined
  readonly live?: boolean | undefined
}

const columns = sql`f.id, f.blueprint, f.version, f.hash, f.driver, f.role, f.pool, f.labels, f.lifecycle, f.desired, f.reason,
  f.client_id as "clientId", a.agent_id as "agentId", a.id as "agentInstanceId", f.handle, f.starts, f.crashes, f.last_lines as "lastLines",
  f.created_at as "createdAt", f.started_at as "startedAt", f.ready_at as "readyAt", f.ended_at as "endedAt"`
const source = sql`factory_instances f
  left join agent_instances a on a.tenant_id = f.tenant_id and a.subject = f.client_id::text`

/** Newest first, below the id `below` when given. */
export async function listInstances(
  db: Db,
  tenantId: string,
  filter: InstanceFilter,
  page: { limit: number; below: string | undefined },
): Promise<InstanceRecord[]> {
  const found = await sql<InstanceRecord>`select ${columns} from ${source}
    where f.tenant_id = ${tenantId} and ${sql.join(conditions(filter), sql` and `)}
      ${page.below === undefined ? sql`` : sql`and f.id < ${page.below}`}
    order by f.id desc limit ${page.limit}`.execute(db)
  return found.rows
}

export async function readInstances(db: Db, tenantId: string, ids: readonly string[]): Promise<InstanceRecord[]> {
  const found = await sql<InstanceRecord>`select ${columns} from ${source}
    where f.tenant_id = ${tenantId} and f.id = any(${[...ids]}::uuid[]) order by f.id`.execute(db)
  return found.rows
}

function conditions({ blueprint, lifecycle, pool, live }: InstanceFilter): RawBuilder<boolean>[] {
  return [
    sql<boolean>`true`,
    ...(blueprint === undefined ? [] : [sql<boolean>`f.blueprint = ${blueprint}`]),
    ...(lifecycle === undefined ? [] : [sql<boolean>`f.lifecycle = ${lifecycle}`]),
    ...(pool === undefined ? [] : [sql<boolean>`f.pool = ${pool}`]),
    ...(live === undefined ? [] : [live ? sql<boolean>`f.ended_at is null` : sql<boolean>`f.ended_at is not null`]),
  ]
}

export interface LockedInstance {
  readonly id: string
  readonly tenantId: string
  readonly blueprint: string
  readonly version: number
  readonly role: 'member' | 'spare'
  readonly clientId: string
  readonly lifecycle: Lifecycle
  readonly desired: 'running' | 'hibernating' | 'stopped'
  readonly isOver: boolean
  readonly versionNo: number
}

/** For a change; undefined when the tenant has no such instance. */
export async function lockInstance(trx: Trx, tenantId: string, id: string): Promise<LockedInstance | undefined> {
  const found =
    await sql<LockedInstance>`select f.id, f.tenant_id as "tenantId", f.blueprint, f.version, f.role, f.client_id as "clientId",
      f.lifecycle, f.desired, f.ended_at is not null as "isOver", f.version_no as "versionNo"
    from factory_instances f where f.id = ${id} and f.tenant_id = ${tenantId} for update`.execute(trx)
  return found.rows[0]
}
