import { recordset } from '@hypercode/db'
import type { Trx } from '@hypercode/db'
import type { Health, Lifecycle } from '@hypercode/contracts'
import { sql } from 'kysely'
import type { FleetEventDraft } from '@hypercode/events'
import type { Move, Vitals } from '../domain/health.ts'

/** An instance with what its moves need to be judged and told. */
export interface InstanceVitals extends Vitals {
  readonly id: string
  readonly tenantId: string
  readonly agentId: string
  readonly incarnation: number
}

/** Columns of `InstanceVitals` for `agent_instances i`, by the clock of the database. */
export const vitalsColumns = sql`i.id, i.tenant_id as "tenantId", i.agent_id as "agentId", i.incarnation, i.health, i.lifecycle,
  (extract(epoch from now() - greatest(i.registered_at, i.last_heartbeat_at)) * 1000)::float8 as "silentMs",
  (extract(epoch from i.lease_expires_at - now()) * 1000)::float8 as "leaseLeftMs"`

export interface Moved {
  readonly instance: InstanceVitals
  readonly move: Move
}

/** Writes where the instances stand after their moves. The caller holds their rows and writes the events. */
export async function writeMoves(trx: Trx, moved: readonly Moved[]): Promise<void> {
  if (moved.length === 0) return
  const rows = moved.map(({ instance, move }) => ({ id: instance.id, ...standing(instance, move) }))
  await sql`update agent_instances i set health = r.health, lifecycle = r.lifecycle
    from ${recordset(rows, 'r', 'id uuid, health text, lifecycle text')} where i.id = r.id`.execute(trx)
}

/** One event per step of health, and one for leaving. */
export function eventsOf({ instance, move }: Moved): FleetEventDraft[] {
  const { lifecycle } = standing(instance, move)
  const base = { tenantId: instance.tenantId, agentId: instance.agentId, instanceId: instance.id }
  const told = { reason: move.reason, silentMs: Math.round(instance.silentMs), incarnation: instance.incarnation }
  const steps = move.health.map((to, index): FleetEventDraft => {
    const from = move.health[index - 1] ?? instance.health
    // The lifecycle moves with the last step.
    const at = index === move.health.length - 1 ? lifecycle : instance.lifecycle
    return { ...base, type: 'agent.health.changed', body: { from, to, lifecycle: at, ...told } }
  })
  if (lifecycle !== 'reaped') return steps
  return [...steps, { ...base, type: 'agent.deregistered', body: { from: instance.lifecycle, lifecycle, ...told } }]
}

function standing(instance: InstanceVitals, move: Move): { health: Health; lifecycle: Lifecycle } {
  return { health: move.health.at(-1) ?? instance.health, lifecycle: move.lifecycle ?? instance.lifecycle }
}
