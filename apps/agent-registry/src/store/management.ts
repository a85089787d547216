/** What operators do with agents, and what an agent does with itself. Each is one transaction with its event and its audit row. */
import type { Labels, Lifecycle } from '@hypercode/contracts'
import type { Db, Trx } from '@hypercode/db'
import { sql } from 'kysely'
import { canDrain, canStop } from '../domain/leaving.ts'
import { ifMatchAllows } from '../domain/etag.ts'
import { changeFleet } from '@hypercode/events'
import type { FleetJournal, Publish } from '@hypercode/events'
import { endTaskLeases } from './task-leases.ts'

export interface ManagementDeps {
  readonly db: Db
  readonly publish: Publish
}

/** Who changes which agent. */
export interface Change {
  readonly tenantId: string
  readonly agentId: string
  readonly actor: string
  readonly correlationId: string | undefined
}

export type ChangeOutcome = 'done' | 'not_found' | 'version_mismatch' | 'not_possible' | 'fenced'

/** One instance, and of which incarnation it has to be when that matters. */
export interface InstanceRef {
  readonly instanceId: string
  readonly incarnation?: number | undefined
}

export interface CardChange {
  readonly description?: string | undefined
  readonly labels?: Labels | undefined
}

interface LockedInstance {
  readonly id: string
  readonly lifecycle: Lifecycle
  readonly incarnation: number
}

export async function updateAgent(
  { db, publish }: ManagementDeps,
  change: Change,
  card: CardChange,
  ifMatch: string | undefined,
): Promise<ChangeOutcome> {
  return await changeFleet(db, publish, [change.tenantId], async (trx, journal) => {
    const agent = await lockAgent(trx, change)
    if (agent === undefined) return 'not_found'
    if (ifMatch !== undefined && !ifMatchAllows(ifMatch, agent.rowVersion)) return 'version_mismatch'
    const changed = await sql`update agents set row_version = row_version + 1, updated_at = now(),
        description = ${card.description ?? agent.description}, labels = ${JSON.stringify(card.labels ?? agent.labels)}::jsonb
      where id = ${change.agentId} and (description is distinct from ${card.description ?? agent.description}
        or labels is distinct from ${JSON.stringify(card.labels ?? agent.labels)}::jsonb)`.execute(trx)
    if (changed.numAffectedRows === 0n) return 'done'
    tell(journal, change, 'agent.updated', { changed: Object.keys(card).sort(), version: agent.rowVersion + 1 })
    return 'done'
  })
}

/** Removes the agent and stops its instances, whose leases end at once. */
export async function deleteAgent({ db, publish }: ManagementDeps, change: Change): Promise<ChangeOutcome> {
  return await changeFleet(db, publish, [change.tenantId], async (trx, journal) => {
    if ((await lockAgent(trx, change)) === undefined) return 'not_found'
    const instances = (await lockInstances(trx, change)).filter((one) => canStop(one.lifecycle))
    await stopAll(trx, journal, change, instances, 'the agent was deleted')
    await sql`update agents set deleted_at = now(), updated_at = now() where id = ${change.agentId}`.execute(trx)
    tell(journal, change, 'agent.deregistered', { reason: 'deleted', instances: instances.length })
    return 'done'
  })
}

/** Gives no new task to the agent, or to one instance of it. Draining what drains already changes nothing. */
export async function drainAgent(
  { db, publish }: ManagementDeps,
  change: Change,
  only: InstanceRef | undefined,
): Promise<ChangeOutcome> {
  return await changeFleet(db, publish, [change.tenantId], async (trx, journal) => {
    if ((await lockAgent(trx, change)) === undefined) return 'not_found'
    const instances = await lockInstances(trx, change, only?.instanceId)
    if (only !== undefined && instances.length === 0) return 'not_found'
    if (only !== undefined && isSucceeded(only, instances)) return 'fenced'
    if (only !== undefined && !instances.some((one) => one.lifecycle === 'draining' || canDrain(one.lifecycle))) {
      return 'not_possible'
    }
    const going = instances.filter((one) => canDrain(one.lifecycle))
    await setLifecycle(trx, going, 'draining')
    for (const one of going) tellOf(journal, change, one, 'agent.draining', { lifecycle: 'draining' })
    return 'done'
  })
}

/** Deregisters one instance; its leases end at once. Stopping what is gone already changes nothing. */
export async function stopInstance(
  { db, publish }: ManagementDeps,
  change: Change,
  only: InstanceRef,
): Promise<ChangeOutcome> {
  return await changeFleet(db, publish, [change.tenantId], async (trx, journal) => {
    const instances = await lockInstances(trx, change, only.instanceId)
    if (instances.length === 0) return 'not_found'
    if (isSucceeded(only, instances)) return 'fenced'
    const live = instances.filter((one) => canStop(one.lifecycle))
    await stopAll(trx, journal, change, live, `stopped by ${change.actor}`)
    return 'done'
  })
}

const isSucceeded = ({ incarnation }: InstanceRef, instances: readonly LockedInstance[]): boolean =>
  incarnation !== undefined && instances.some((one) => one.incarnation !== incarnation)

async function lockAgent(trx: Trx, { tenantId, agentId }: Change) {
  return await trx
    .selectFrom('agents')
    .select(['row_version as rowVersion', 'description', 'labels'])
    .where('id', '=', agentId)
    .where('tenant_id', '=', tenantId)
    .where('deleted_at', 'is', null)
    .forUpdate()
    .executeTakeFirst()
}

async function lockInstances(trx: Trx, { tenantId, agentId }: Change, instanceId?: string): Promise<LockedInstance[]> {
  let query = trx
    .selectFrom('agent_instances')
    .select(['id', 'lifecycle', 'incarnation'])
    .where('agent_id', '=', agentId)
    .where('tenant_id', '=', tenantId)
    .orderBy('subject')
    .forUpdate()
  if (instanceId !== undefined) query = query.where('id', '=', instanceId)
  else query = query.where(sql<boolean>`lifecycle not in ('stopped', 'reaped', 'failed')`)
  return await query.execute()
}

async function stopAll(
  trx: Trx,
  journal: FleetJournal,
  change: Change,
  instances: readonly LockedInstance[],
  reason: string,
): Promise<void> {
  await setLifecycle(trx, instances, 'stopped')
  await endTaskLeases(
    trx,
    instances.map(({ id, incarnation }) => ({ instanceId: id, belowIncarnation: incarnation + 1 })),
  )
  for (const one of instances) tellOf(journal, change, one, 'agent.stopped', { lifecycle: 'stopped', reason })
}

async function setLifecycle(
  trx: Trx,
  instances: readonly LockedInstance[],
  lifecycle: 'draining' | 'stopped',
): Promise<void> {
  if (instances.length === 0) return
  const ids = instances.map((one) => one.id)
  const ends = lifecycle === 'stopped' ? sql`, lease_expires_at = least(lease_expires_at, now())` : sql``
  await sql`update agent_instances set lifecycle = ${lifecycle} ${ends} where id = any(${ids}::uuid[])`.execute(trx)
}

type ManagementEvent = 'agent.updated' | 'agent.draining' | 'agent.stopped' | 'agent.deregistered'

/** An event of one instance, and its audit row. */
function tellOf(
  journal: FleetJournal,
  change: Change,
  instance: LockedInstance,
  type: ManagementEvent,
  body: Record<string, unknown>,
): void {
  const { incarnation, lifecycle: from } = instance
  tell(journal, change, type, { ...body, from, incarnation }, instance.id)
}

function tell(
  journal: FleetJournal,
  change: Change,
  type: ManagementEvent,
  body: Record<string, unknown>,
  instanceId?: string,
): void {
  const { tenantId, agentId, actor, correlationId } = change
  const trace = correlationId === undefined ? {} : { correlationId }
  journal.add({ tenantId, type, agentId, ...(instanceId !== undefined && { instanceId }), body: { ...body, ...trace } })
  const detail = { ...body, ...trace, ...(instanceId !== undefined && { instanceId }) }
  journal.audit({ tenantId, actor, action: type, ref: agentId, detail })
}
