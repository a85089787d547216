/** Makes instances that the engine will start, and spares into members. Within a transaction that holds the head of the tenant. */
import { AGENT_SCOPES, newId } from '@hypercode/contracts'
import type { DriverName, Labels } from '@hypercode/contracts'
import { addClients } from '@hypercode/db'
import type { Trx } from '@hypercode/db'
import type { FleetJournal, QueueRef } from '@hypercode/events'
import { sql } from 'kysely'

/** What instances are made of. */
export interface Mould {
  readonly tenantId: string
  readonly blueprint: string
  readonly version: number
  readonly hash: string
  readonly driver: DriverName
  readonly skills: readonly string[]
}

export type Origin = 'spawned' | 'population' | 'warm' | 'assembly'

export interface NewInstances {
  readonly count: number
  readonly role: 'member' | 'spare'
  readonly origin: Origin
  readonly pool?: string | undefined
  readonly labels?: Labels | undefined
  readonly env?: Readonly<Record<string, string>> | undefined
  readonly actor: string
}

/** Answers the ids of the new instances, each with a client of its own that cannot log in yet. */
export async function addInstances(
  trx: Trx,
  journal: FleetJournal,
  mould: Mould,
  wanted: NewInstances,
): Promise<string[]> {
  const { tenantId, blueprint, version, hash, driver } = mould
  const made = Array.from({ length: wanted.count }, () => ({ id: newId(), clientId: newId() }))
  if (made.length === 0) return []
  await addClients(
    trx,
    made.map(({ id, clientId }) => ({ id: clientId, tenantId, name: `instance-${id}`, scopes: AGENT_SCOPES })),
  )
  await trx
    .insertInto('factory_instances')
    .values(
      made.map(({ id, clientId }) => ({
        id,
        tenant_id: tenantId,
        blueprint,
        version,
        hash,
        driver,
        role: wanted.role,
        pool: wanted.pool ?? null,
        labels: JSON.stringify(wanted.labels ?? {}),
        origin: wanted.origin,
        env: JSON.stringify(wanted.env ?? {}),
        client_id: clientId,
        lifecycle: 'provisioning' as const,
        desired: 'running' as const,
        crashes: '[]',
        last_lines: null,
      })),
    )
    .execute()
  for (const { id } of made) tell(journal, mould, id, { ...wanted, warm: false })
  return made.map(({ id }) => id)
}

export interface Promoted {
  readonly ids: string[]
  /** Queues whose claims now have somebody more to serve. */
  readonly queues: readonly QueueRef[]
}

/** Makes up to `count` warm spares into members that take work at once: the row, the registration and the events in one step. */
export async function promoteSpares(
  trx: Trx,
  journal: FleetJournal,
  mould: Mould,
  wanted: Pick<NewInstances, 'count' | 'origin' | 'labels' | 'actor'>,
): Promise<Promoted> {
  const { tenantId, blueprint, version, skills } = mould
  if (wanted.count <= 0) return { ids: [], queues: [] }
  const promoted = await sql<{ id: string; agentId: string; agentInstanceId: string }>`
    with warm as (
      select f.id, a.id as agent_instance_id, a.agent_id from factory_instances f
      join agent_instances a on a.tenant_id = f.tenant_id and a.subject = f.client_id::text and a.registered_at >= f.started_at
      where f.tenant_id = ${tenantId} and f.blueprint = ${blueprint} and f.version = ${version} and f.role = 'spare' and f.pool is null
        and f.lifecycle = 'warming' and f.ready_at is not null and f.desired = 'running' and f.ended_at is null
        and a.lifecycle = 'warming' and a.health = 'passing' and a.lease_expires_at > now()
      order by f.ready_at limit ${wanted.count} for update of f, a skip locked),
    working as (
      update agent_instances a set lifecycle = 'ready' from warm w where a.id = w.agent_instance_id)
    update factory_instances f set role = 'member', lifecycle = 'ready', origin = ${wanted.origin}, ready_at = now(), idle_since = null,
      labels = ${JSON.stringify(wanted.labels ?? {})}::jsonb, reason = null, version_no = f.version_no + 1
    from warm w where f.id = w.id
    returning f.id, w.agent_id as "agentId", w.agent_instance_id as "agentInstanceId"`.execute(trx)
  for (const { id, agentId, agentInstanceId } of promoted.rows) {
    tell(journal, mould, id, { ...wanted, role: 'member', warm: true })
    const body = { id, blueprint, version, role: 'member', warm: true }
    journal.add({ tenantId, type: 'instance.ready', ref: `instances/${id}`, body })
    journal.add({
      tenantId,
      type: 'agent.updated',
      agentId,
      instanceId: agentInstanceId,
      body: { changed: ['lifecycle'], lifecycle: 'ready' },
    })
  }
  const queues = promoted.rows.length === 0 ? [] : skills.map((queue) => ({ tenantId, queue }))
  return { ids: promoted.rows.map((row) => row.id), queues }
}

function tell(
  journal: FleetJournal,
  { tenantId, blueprint, version }: Mould,
  id: string,
  { role, origin, pool, warm, actor }: Pick<NewInstances, 'role' | 'origin' | 'pool' | 'actor'> & { warm: boolean },
): void {
  const body = { id, blueprint, version, role, origin, warm, ...(pool !== undefined && { pool }) }
  journal.add({ tenantId, type: 'instance.spawned', ref: `instances/${id}`, body })
  journal.audit({ tenantId, actor, action: 'instance.spawned', ref: id, detail: body })
}

/** Live members of the version, or of one of its pools; and all live instances of the factory. */
export async function countLive(
  trx: Trx,
  { tenantId, blueprint, version }: Mould,
  pool: string | undefined,
): Promise<{ members: number; all: number }> {
  const found = await sql<{ members: number; all: number }>`select
    (select count(*) from factory_instances f where f.tenant_id = ${tenantId} and f.blueprint = ${blueprint} and f.version = ${version}
      and f.role = 'member' and f.pool is not distinct from ${pool ?? null} and f.ended_at is null and f.desired <> 'stopped')::int as members,
    (select count(*) from factory_instances f where f.ended_at is null)::int as "all"`.execute(trx)
  return found.rows[0] ?? { members: 0, all: 0 }
}
