import type { Agent, AgentCard, AgentInstance } from '@hypercode/contracts'
import { etagOf } from '../domain/etag.ts'
import type { AgentRecord, InstanceRecord } from '../store/agents.ts'

export function cardOf({ name, version, description, skills, labels }: AgentRecord): AgentCard {
  return { name, version, ...(description !== null && { description }), skills, labels }
}

export function viewAgent(agent: AgentRecord, instances: readonly InstanceRecord[]): Agent {
  return {
    ...cardOf(agent),
    id: agent.id,
    labels: agent.labels,
    health: agent.health,
    etag: etagOf(agent.rowVersion),
    createdAt: agent.createdAt.toISOString(),
    updatedAt: agent.updatedAt.toISOString(),
    instances: instances.map(viewInstance),
  }
}

function viewInstance(instance: InstanceRecord): AgentInstance {
  const { id, subject, lifecycle, health, incarnation, version, slots, slotsUsed } = instance
  const { registeredAt, lastHeartbeatAt, leaseExpiresAt } = instance
  return {
    id,
    subject,
    lifecycle,
    health,
    incarnation,
    version,
    slots,
    slotsUsed,
    registeredAt: registeredAt.toISOString(),
    ...(lastHeartbeatAt !== null && { lastHeartbeatAt: lastHeartbeatAt.toISOString() }),
    ...(leaseExpiresAt !== null && { leaseExpiresAt: leaseExpiresAt.toISOString() }),
  }
}
