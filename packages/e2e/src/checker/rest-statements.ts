import type { Statements } from '@hypercode/testkit/invariants'

export interface RestTimes {
  /** Every fault ended at least so long ago, and agents with free slots have been online since. */
  readonly quietMs: number
  /** Time between two sweeps of a service. */
  readonly sweepMs: number
  /** How long a lease lasts. */
  readonly leaseMs: number
}

/** What must be true once nothing has been broken for a while: O16, and of the registry what its next sweep would put right. */
export function restStatements({ quietMs, sweepMs, leaseMs }: RestTimes): Statements {
  const ago = (ms: number): string => `now() - interval '${Math.round(ms)} milliseconds'`
  const twoSweeps = ago(2 * sweepMs)
  return {
    'O16 a queued task is not claimed although an agent is there for it': `
      select t.id from tasks t join missions m on m.id = t.mission_id
      where t.state = 'queued' and not t.held and t.concurrency_key is null and t.available_at < ${ago(quietMs)}
        and (m.cancel_requested_at is null or m.compensating_at is not null) and m.state <> 'paused'
        and not exists (select from queue_controls c where c.tenant_id = t.tenant_id and c.queue = t.queue)
        and exists (select from agent_instances i where i.tenant_id = t.tenant_id and i.lifecycle = 'ready' and i.lease_expires_at > now()
          and t.queue = any (i.skills) and t.requires <@ i.skills
          and i.slots > (select count(*) from tasks b where b.lease_owner = i.id))`,
    'O16 an executing task whose lease is over': `
      select id from tasks where state = 'executing' and lease_expires_at < ${twoSweeps}`,
    'O16 a scheduled task that is overdue': `
      select id from tasks where state = 'scheduled' and available_at < ${twoSweeps}`,
    'O16 a timer that is overdue': `
      select task_id as id from waits where fired_at is null and fire_at < ${twoSweeps}`,
    'O16 a running mission in which nothing can happen': `
      select m.id from missions m where m.state = 'running' and m.ended_at is null and not exists (
        select from tasks t where t.mission_id = m.id and t.ended_at is null and t.state <> 'blocked')`,
    'R5 an instance is ready and its lease is over': `
      select id from agent_instances where lifecycle = 'ready' and health = 'passing' and lease_expires_at < ${twoSweeps}`,
    'R6 a lease is held by an older incarnation, or by an instance that is gone': `
      select t.id from tasks t join agent_instances i on i.id = t.lease_owner
      where t.state = 'executing' and (t.lease_incarnation < i.incarnation and i.registered_at < ${ago(leaseMs + 2 * sweepMs)}
        or i.lifecycle in ('stopped', 'reaped', 'quarantined') and t.lease_expires_at < ${twoSweeps})`,
    'S6 a hint that no relay has sent': `
      select id from outbox where next_try_at < ${ago(quietMs)}`,
  }
}
