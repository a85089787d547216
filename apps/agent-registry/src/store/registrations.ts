import { recordset } from '@hypercode/db'
import type { Db, Trx } from '@hypercode/db'
import { newId } from '@hypercode/contracts'
import { sql } from 'kysely'
import { clientOf, planRegistrations, skillIdsOf } from '../domain/registration.ts'
import type {
  Known,
  KnownAgent,
  KnownInstance,
  KnownMake,
  RegisteredInstance,
  RegistrationOutcome,
  RegistrationRequest,
} from '../domain/registration.ts'
import { changeFleet } from '@hypercode/events'
import type { FleetJournal, Publish } from '@hypercode/events'
import { endTaskLeases } from './task-leases.ts'

export interface RegistrarDeps {
  readonly db: Db
  readonly publish: Publish
  readonly leaseMs: number
}

/** Registers a batch in one transaction, however many there are; answers one outcome per request, in order. */
export async function registerAll(
  { db, publish, leaseMs }: RegistrarDeps,
  requests: readonly RegistrationRequest[],
): Promise<readonly RegistrationOutcome[]> {
  const tenantIds = requests.map((request) => request.tenantId)
  return await changeFleet(db, publish, tenantIds, async (trx, journal) => {
    const plan = planRegistrations(requests, await readKnown(trx, journal.tenants, requests), newId)
    await writeAgents(trx, plan.agents)
    await writeInstances(trx, plan.instances, leaseMs)
    const again = plan.instances.filter((instance) => instance.incarnation > 1)
    await endTaskLeases(
      trx,
      again.map(({ id, incarnation }) => ({ instanceId: id, belowIncarnation: incarnation })),
    )
    journal.add(...plan.events)
    auditRegistrations(journal, requests, plan.outcomes)
    return plan.outcomes
  })
}

async function readKnown(
  trx: Trx,
  tenants: ReadonlySet<string>,
  requests: readonly RegistrationRequest[],
): Promise<Known> {
  const asked = requests
    .map(({ tenantId, subject, card }) => ({ tenant: tenantId, subject, name: card.name }))
    .sort((a, b) => compare(a.tenant, b.tenant) || compare(a.subject, b.subject))
  const columns = 'tenant uuid, subject text, name text'
  const instances = await sql<KnownInstance>`
    select i.id, i.tenant_id as "tenantId", i.agent_id as "agentId", i.subject, i.lifecycle, i.health, i.incarnation
    from agent_instances i
    where (i.tenant_id, i.subject) in (select tenant, subject from ${recordset(asked, 'q', columns)})
    order by i.tenant_id, i.subject for update`.execute(trx)
  const agents = await sql<KnownAgent>`
    select a.id, a.tenant_id as "tenantId", a.name, a.version, a.description, a.skills, a.labels,
      a.deleted_at is not null as deleted
    from agents a
    where a.id = any(${instances.rows.map((row) => row.agentId)}::uuid[]) or a.id in (
      select newest.id from ${recordset(asked, 'q', columns)} cross join lateral (
        select b.id from agents b where b.tenant_id = q.tenant and b.name = q.name
        order by (b.deleted_at is null) desc, b.id desc limit 1) as newest)
    order by a.id for update`.execute(trx)
  return { tenants, agents: agents.rows, instances: instances.rows, makes: await readMakes(trx, requests) }
}

/** What of the batch the factory made. Its own changes hold the event head of the tenant too, so none slips in between. */
async function readMakes(trx: Trx, requests: readonly RegistrationRequest[]): Promise<KnownMake[]> {
  const clients = requests.map(({ tenantId, subject }) => ({ tenant: tenantId, client: clientOf(subject) }))
  const makes = await sql<KnownMake>`
    select f.tenant_id as "tenantId", f.client_id as "clientId", f.blueprint, f.version, f.pool, f.role from factory_instances f
    where f.ended_at is null and (f.tenant_id, f.client_id) in (
      select tenant, client from ${recordset(
        clients.filter(({ client }) => UUID.test(client)),
        'q',
        'tenant uuid, client uuid',
      )})`.execute(trx)
  return makes.rows
}

/** A subject is any text; a client has an id. */
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

async function writeAgents(trx: Trx, agents: readonly KnownAgent[]): Promise<void> {
  if (agents.length === 0) return
  const rows = agents.map((agent) => ({
    id: agent.id,
    tenant_id: agent.tenantId,
    name: agent.name,
    version: agent.version,
    description: agent.description,
    skills: agent.skills,
    skill_ids: skillIdsOf(agent.skills),
    labels: agent.labels,
  }))
  const columns =
    'id uuid, tenant_id uuid, name text, version text, description text, skills jsonb, skill_ids text[], labels jsonb'
  await sql`
    insert into agents (id, tenant_id, name, version, description, skills, skill_ids, labels)
    select r.id, r.tenant_id, r.name, r.version, r.description, r.skills, r.skill_ids, r.labels
    from ${recordset(rows, 'r', columns)}
    on conflict (id) do update set version = excluded.version, description = excluded.description, skills = excluded.skills,
      skill_ids = excluded.skill_ids, labels = excluded.labels, row_version = agents.row_version + 1,
      updated_at = now(), deleted_at = null`.execute(trx)
}

async function writeInstances(trx: Trx, instances: readonly RegisteredInstance[], leaseMs: number): Promise<void> {
  if (instances.length === 0) return
  const rows = instances.map((one) => ({
    id: one.id,
    tenant_id: one.tenantId,
    agent_id: one.agentId,
    subject: one.subject,
    version: one.version,
    skills: one.skills,
    slots: one.slots,
    lifecycle: one.lifecycle,
    incarnation: one.incarnation,
  }))
  const columns =
    'id uuid, tenant_id uuid, agent_id uuid, subject text, version text, skills text[], slots int, lifecycle text, incarnation bigint'
  await sql`
    insert into agent_instances (id, tenant_id, agent_id, subject, version, skills, slots, lifecycle, health, incarnation,
      heartbeat_seq, registered_at, lease_expires_at, loop_lag_ms)
    select r.id, r.tenant_id, r.agent_id, r.subject, r.version, r.skills, r.slots, r.lifecycle, 'unknown', r.incarnation,
      0, now(), now() + ${leaseMs} * interval '1 millisecond', 0
    from ${recordset(rows, 'r', columns)}
    on conflict (id) do update set version = excluded.version, skills = excluded.skills, slots = excluded.slots,
      lifecycle = excluded.lifecycle, health = excluded.health, incarnation = excluded.incarnation, heartbeat_seq = 0,
      registered_at = excluded.registered_at, lease_expires_at = excluded.lease_expires_at, loop_lag_ms = 0`.execute(
    trx,
  )
}

function auditRegistrations(
  journal: FleetJournal,
  requests: readonly RegistrationRequest[],
  outcomes: readonly RegistrationOutcome[],
): void {
  outcomes.forEach((outcome, index) => {
    const request = requests[index]
    if (outcome.kind !== 'registered' || request === undefined) return
    journal.audit({
      tenantId: request.tenantId,
      actor: request.subject,
      action: 'agent.registered',
      ref: outcome.agentId,
      detail: {
        name: request.card.name,
        instanceId: outcome.instanceId,
        incarnation: outcome.incarnation,
        ...(request.correlationId !== undefined && { correlationId: request.correlationId }),
      },
    })
  })
}
