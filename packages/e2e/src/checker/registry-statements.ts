import type { Statements } from '@hypercode/testkit/invariants'

/** What must be true of agents and their instances at any time. */
export const REGISTRY_STATEMENTS: Statements = {
  'R1 an instance in a state that its lifecycle does not know': `
    select id from agent_instances where lifecycle not in
      ('provisioning', 'warming', 'ready', 'hibernating', 'unhealthy', 'draining', 'stopped', 'reaped', 'quarantined', 'failed')`,
  'R1 a stable version that no passing run promoted': `
    select a.name as id from blueprint_aliases a where a.alias = 'stable' and not exists (
      select from promotions p where p.tenant_id = a.tenant_id and p.blueprint = a.name and p.version = a.version and p.kind = 'promoted'
        and cardinality(p.run_ids) > 0)`,
  'R2 an incarnation that did not grow': `
    select instance_id as id from (
      select instance_id, (body ->> 'incarnation')::bigint as now, lag((body ->> 'incarnation')::bigint) over (partition by instance_id order by seq) as before
      from agent_events where type = 'agent.registered' and instance_id is not null) e
    where e.now <= e.before`,
  'R2 an event of an incarnation that the instance never reached': `
    select e.instance_id as id from agent_events e join agent_instances i on i.id = e.instance_id
    where (e.body ->> 'incarnation')::bigint > i.incarnation`,
  'R3 two instances of one subject': `
    select subject as id from agent_instances group by tenant_id, subject having count(*) > 1`,
  'R3 an instance of another tenant than its agent': `
    select i.id from agent_instances i join agents a on a.id = i.agent_id where i.tenant_id <> a.tenant_id`,
  // Not now(): that is when the transaction began, and a beat may have come since.
  'R4 a beat from the future': `
    select id from agent_instances where greatest(last_heartbeat_at, registered_at) > clock_timestamp()`,
  'R4 a lease that is longer than any that is given': `
    select id from agent_instances where lease_expires_at > now() + interval '10 minutes'`,
  'R5 an instance was reaped while its lease lived': `
    select id from agent_instances where lifecycle = 'reaped' and lease_expires_at > now()`,
  'R6 an attempt of an incarnation that its instance never reached': `
    select a.task_id as id from attempts a join agent_instances i on i.id = a.agent_instance_id where a.incarnation > i.incarnation`,
  'R7 an attempt by an instance without the skill': `
    select a.task_id as id from attempts a join tasks t on t.id = a.task_id join agent_instances i on i.id = a.agent_instance_id
    where not (t.queue = any (i.skills)) or not (t.requires <@ i.skills)`,
  // A mission that fails ends what it has open in the same way, and nobody has asked for that.
  'A1 a cancel that nobody is recorded for': `
    select m.id from missions m where m.cancel_requested_at is not null and m.parent_task_id is null and m.error is null
      and not exists (select from audit a where a.tenant_id = m.tenant_id and a.action = 'mission.cancel_requested' and a.ref = m.id::text)`,
  'A1 a submit that nobody is recorded for': `
    select m.id from missions m where m.parent_task_id is null and not exists (
      select from audit a where a.tenant_id = m.tenant_id and a.action = 'mission.submitted' and a.ref = m.id::text)`,
  'A1 a registration that nobody is recorded for': `
    select i.id from agent_instances i where not exists (
      select from audit a where a.tenant_id = i.tenant_id and a.action like 'agent.%' and a.actor = i.subject)`,
}
