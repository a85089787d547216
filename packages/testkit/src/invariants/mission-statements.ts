import type { Statements } from './find-broken.ts'

/**
 * Statements that must find nothing, whatever has happened to a database, at any time. The numbers name the invariants; O1, O2 and the
 * other half of O19 need the events in order, see `findBrokenHistories`.
 */
export const MISSION_STATEMENTS: Statements = {
  'O3 two successes of one task': `
    select task_id from attempts where outcome = 'completed' group by 1 having count(*) > 1`,
  'O4 a success that is not the latest attempt of a completed task': `
    select t.id from attempts a join tasks t on t.id = a.task_id
    where a.outcome = 'completed' and (a.attempt <> t.attempt or t.state <> 'completed')`,
  'O4 a completed task with attempts and no success': `
    select t.id from tasks t where t.state = 'completed' and t.attempt > 0
      and not exists (select from attempts a where a.task_id = t.id and a.attempt = t.attempt and a.outcome = 'completed')`,
  'O5 attempts that are not 1, 2, 3': `
    select t.id from tasks t left join attempts a on a.task_id = t.id group by t.id, t.attempt
    having t.attempt <> coalesce(max(a.attempt), 0) or t.attempt <> count(a.task_id)`,
  'O6 an open attempt without an executing task, or two': `
    select t.id from tasks t left join attempts a on a.task_id = t.id and a.ended_at is null group by t.id, t.state
    having count(a.task_id) <> case when t.state = 'executing' then 1 else 0 end`,
  'O6 an open attempt that is not of the owner of the lease': `
    select t.id from tasks t join attempts a on a.task_id = t.id and a.ended_at is null
    where (a.attempt, a.agent_instance_id, a.incarnation, a.claim_id)
      is distinct from (t.attempt, t.lease_owner, t.lease_incarnation, t.claim_id)`,
  'O7 an attempt that began before the one before it had ended': `
    select a.task_id as id from attempts a join attempts b on b.task_id = a.task_id and b.attempt = a.attempt + 1
    where a.ended_at is null or b.started_at < a.ended_at`,
  'O8 lease columns that do not go together': `
    select id from tasks where not (
      (state = 'executing' and num_nulls(lease_owner, lease_incarnation, claim_id, lease_expires_at) = 0)
      or (state <> 'executing' and num_nonnulls(lease_owner, lease_incarnation, claim_id, lease_expires_at, attempt_deadline_at, progress_deadline_at) = 0))`,
  'O9 an attempt before its dependencies were done': `
    with outer_needs as (
      -- A forEach needs its own elements too, but they do not need each other.
      select d.task_id, d.depends_on from task_dependencies d join tasks p on p.id = d.depends_on where p.parent_id is distinct from d.task_id),
    needs as (
      select task_id as id, depends_on from outer_needs
      union all
      select t.id, o.depends_on from tasks t join outer_needs o on o.task_id = t.parent_id)
    select n.id from needs n join tasks p on p.id = n.depends_on join attempts a on a.task_id = n.id
    where p.ended_at is null or a.started_at < p.ended_at or not (p.state = 'completed' or (p.state = 'skipped' and p.error is null)
      -- What undoes one task begins when what undoes another has ended, well or not.
      or coalesce(p.policy ? 'compensates', false))`,
  'O10 blocked_by is not the number of open dependencies': `
    select t.id from tasks t left join task_dependencies d on d.task_id = t.id left join tasks p on p.id = d.depends_on and p.ended_at is null
    where t.ended_at is null group by t.id, t.blocked_by having t.blocked_by <> count(p.id)`,
  'O10 blocked by nothing, or queued while blocked': `
    select id from tasks where (state = 'blocked' and blocked_by = 0) or (state in ('queued', 'scheduled', 'executing') and blocked_by > 0)`,
  'O11 open or total tasks of a mission are counted wrong': `
    select m.id from missions m left join tasks t on t.mission_id = m.id group by m.id
    having m.open_tasks <> count(t.id) filter (where t.ended_at is null) or m.total_tasks <> count(t.id)`,
  'O11 a mission ended too early or not at all': `
    select id from missions where (ended_at is not null) <> (open_tasks = 0) or (ended_at is not null) <> (state in ('completed', 'failed', 'canceled'))`,
  'O11 a completed mission with a task that is not done, or the reverse': `
    select m.id from missions m where m.ended_at is not null and m.cancel_requested_at is null and (m.state = 'completed') <> not exists (
      select from tasks t where t.mission_id = m.id and not (t.state = 'completed' or (t.state = 'skipped' and t.error is null)
        or (t.state in ('failed', 'rejected', 'canceled', 'skipped') and coalesce(t.policy ? 'tolerated', false))))`,
  'O12 an end that is not set exactly in terminal states': `
    select id from tasks where (ended_at is not null) <> (state in ('completed', 'failed', 'canceled', 'rejected', 'skipped'))`,
  'O12 an output that is not the one reported': `
    select t.id from tasks t join attempts a on a.task_id = t.id and a.outcome = 'completed'
    where not exists (select from approvals p where p.task_id = t.id and p.verifies is not null and p.round > 1) and (a.output_hash is null or (jsonb_typeof(t.output) in ('number', 'boolean') and a.output_hash <> sha256(convert_to(t.output::text, 'utf8'))))`,
  'O14 more attempts than allowed': `select id from tasks where attempt > max_attempts`,
  'O14 a task that its attempts failed without a dead letter': `
    select t.id from tasks t where t.attempt > 0 and t.state in ('failed', 'rejected', 'paused')
      and not exists (select from dead_letters d where d.task_id = t.id)`,
  'O15 two missions of one idempotency key': `
    select tenant_id from missions where idempotency_key is not null group by tenant_id, idempotency_key having count(*) > 1`,
  'O17 a timer that was over before its time, or a wait that is over without a result': `
    select w.task_id from waits w left join steps s on s.task_id = w.task_id and s.name = 'wait:' || w.name
    where (w.kind = 'timer' and w.fired_at < w.fire_at) or (w.fired_at is null) <> (s.task_id is null)`,
  'O17 a task that waits for nothing': `
    select t.id from tasks t where t.state = 'waiting' and t.blocked_by = 0 and not coalesce(t.policy ? 'crew', false)
      and not exists (select from waits w where w.task_id = t.id and w.fired_at is null)`,
  'O23 a mission of a task that has none, or is in another tenant or too deep': `
    select c.id from missions c left join tasks t on t.id = c.parent_task_id left join missions m on m.id = t.mission_id
    where c.parent_task_id is not null and (t.id is null or not coalesce(t.policy ? 'crew', false) or c.tenant_id <> t.tenant_id or c.depth <> m.depth + 1)`,
  'O23 a task of a crew that is completed without its mission': `
    select t.id from tasks t where t.state = 'completed' and t.policy ? 'crew' and not coalesce(t.template ? 'forEach', false)
      and not exists (select from missions c where c.parent_task_id = t.id and c.state = 'completed' and c.output = t.output)`,
  'O17 a signal that ended two waits, or none': `
    select s.taken_by from signals s left join waits w on w.task_id = s.taken_by and w.signal = s.name and w.fired_at is not null
    where s.taken_by is not null group by s.taken_by, s.name having count(distinct s.id) > count(distinct w.name)`,
  'E1 an effect of an attempt that never was, or that is unknown while its task goes on': `
    select e.task_id from effects e join tasks t on t.id = e.task_id where e.attempt > t.attempt
      or (e.state = 'unknown' and t.state in ('completed', 'waiting', 'input_required', 'verifying'))`,
  'E2 an unknown effect of which nobody was told': `
    select e.task_id from effects e where e.state = 'unknown'
      and not exists (select from attempts a where a.task_id = e.task_id and a.outcome in ('unknown_effect', 'canceled'))`,
  'O22 a task that is kept, and was not completed by the task that it names': `
    select t.id from tasks t left join tasks b on b.id = t.kept_from and b.tenant_id = t.tenant_id
    where t.kept_from is not null and (t.state <> 'completed' or t.attempt > 0 or b.state is distinct from 'completed' or b.output is distinct from t.output)`,
  'O25 a task that is not undone, or twice, although its mission did not succeed': `
    select t.id from tasks t join missions m on m.id = t.mission_id left join tasks c on c.parent_id = t.id and c.policy ? 'compensates'
    where m.state in ('failed', 'canceled') and t.state = 'completed' and t.policy ? 'compensate' and t.kept_from is null
      and not coalesce(t.template ? 'forEach', false)
    group by t.id having count(c.id) <> 1`,
  'O25 a compensation of what was not completed, or in a mission that undoes nothing': `
    select c.id from tasks c join missions m on m.id = c.mission_id left join tasks t on t.id = c.parent_id and t.mission_id = c.mission_id
    where c.policy ? 'compensates' and (t.state is distinct from 'completed' or not coalesce(t.policy ? 'compensate', false)
      or m.compensating_at is null or m.state = 'completed')`,
  'O25 a compensation that began before the one of what was completed after it had ended': `
    select u.id from (
      select c.id, a.started_at, lag(c.id) over later as id_before, lag(c.ended_at) over later as ended_before
      from tasks c join mission_events e on e.mission_id = c.mission_id and e.task_id = c.parent_id and e.type = 'task.completed'
      left join attempts a on a.task_id = c.id and a.attempt = 1 where c.policy ? 'compensates'
      window later as (partition by c.mission_id order by e.seq desc)) u
    where u.started_at < coalesce(u.ended_before, case when u.id_before is null then u.started_at else 'infinity' end)`,
  'O21 a task that waits for people without an open approval, or the reverse': `
    select t.id from tasks t left join approvals a on a.task_id = t.id and a.state = 'open'
    group by t.id, t.state, t.policy
    having (t.state = 'input_required' or (t.state = 'verifying' and t.policy #>> '{verify,kind}' = 'human')) <> (count(a.id) = 1)`,
  'O21 an approval that too few, or the wrong number of clients decided': `
    select a.id from approvals a left join approval_decisions d on d.approval_id = a.id and d.round = a.round group by a.id
    having (a.state = 'approved') <> (count(*) filter (where d.verdict in ('approve', 'edit')) >= a.quorum and count(*) filter (where d.verdict = 'reject') = 0)
      or (a.state = 'rejected') <> (count(*) filter (where d.verdict = 'reject') = 1)`,
  'O24 a completed task with verify whose output did not pass': `
    select t.id from tasks t where t.state = 'completed' and t.policy ? 'verify' and t.kept_from is null and not coalesce(t.template ? 'forEach', false)
      and not exists (select from verifications v where v.task_id = t.id and v.attempt = t.attempt and v.state = 'passed')`,
  'O24 a round that passed, and its task is not completed by that attempt': `
    select v.task_id from verifications v join tasks t on t.id = v.task_id where v.state = 'passed' and (t.state <> 'completed' or t.attempt <> v.attempt)`,
  'O24 a round that is open without its task verifying, or the reverse': `
    select t.id from tasks t left join verifications v on v.task_id = t.id and v.state = 'open' group by t.id, t.state
    having count(v.task_id) <> case when t.state = 'verifying' then 1 else 0 end`,
  'O24 a round that is open although the task that verifies has ended': `
    select v.task_id from verifications v join tasks r on r.id = v.verifier_task_id where v.state = 'open' and r.ended_at is not null`,
  'O24 rounds that are not 1, 2, 3, or more of an attempt than one': `
    select task_id from verifications group by task_id having max(round) <> count(*) or count(distinct attempt) <> count(*)`,
  'O24 a round that a task has passed which did not say so': `
    select v.task_id from verifications v join tasks r on r.id = v.verifier_task_id where v.state = 'passed'
      and not (r.state = 'skipped' or (r.state = 'completed' and r.output -> 'passed' = 'true'))`,
  'O24 a round that people have passed who did not approve': `
    select v.task_id from verifications v join approvals p on p.id = v.approval_id
    where v.state = 'passed' and not (p.state = 'approved' or (p.state = 'expired' and p.on_timeout = 'approve'))`,
  'O18 a budget that has counted something else than the calls of its mission and of those within it': `
    with recursive within as (
      select mission_id as budget, mission_id as id from mission_budgets
      union all
      select w.budget, c.id from within w join tasks t on t.mission_id = w.id join missions c on c.parent_task_id = t.id),
    used as (
      select w.budget, sum(u.input_tokens + u.output_tokens) as tokens, sum(u.usd) as usd from within w join usage u on u.mission_id = w.id group by w.budget)
    select b.mission_id from mission_budgets b left join used u on u.budget = b.mission_id
    where b.tokens_used <> coalesce(u.tokens, 0) or b.usd_used <> coalesce(u.usd, 0)`,
  'O18 an attempt that began when the budget of its mission was used up': `
    select t.id from mission_budgets b join tasks t on t.mission_id = b.mission_id join attempts a on a.task_id = t.id
    where a.started_at > b.exhausted_at and not coalesce(t.policy ? 'compensates', false)`,
  'O19 events that are not 1..n': `
    select m.id from missions m left join mission_events e on e.mission_id = m.id group by m.id, m.event_seq
    having m.event_seq <> count(e.seq) or min(e.seq) <> 1 or max(e.seq) <> count(e.seq)`,
  'O22 more tasks of a concurrency key execute than its limit allows': `
    select concurrency_key from tasks where state = 'executing' and concurrency_key is not null
    group by tenant_id, concurrency_key having count(*) > max(concurrency_limit)`,
  'O22 a task is held that does not wait in a paused mission': `
    select t.id from tasks t join missions m on m.id = t.mission_id where t.held and (t.state <> 'queued' or m.state <> 'paused')`,
  'O26 an operation that has counted what the audit does not hold': `
    select o.id from operations o where o.done > (
      select count(*) from audit a where a.tenant_id = o.tenant_id and a.detail ->> 'operation' = 'operation/' || o.id)`,
  'O26 something that an operation has done twice': `
    select ref from audit where detail ? 'operation' group by tenant_id, ref, detail ->> 'operation' having count(*) > 1`,
  'O20 rows of one mission in different tenants': `
    select t.id from tasks t join missions m on m.id = t.mission_id where t.tenant_id <> m.tenant_id
    union all select a.task_id from attempts a join tasks t on t.id = a.task_id where a.tenant_id <> t.tenant_id
    union all select d.task_id from task_dependencies d join tasks t on t.id = d.task_id join tasks p on p.id = d.depends_on
      where d.tenant_id <> t.tenant_id or p.mission_id <> t.mission_id
    union all select e.mission_id from mission_events e join missions m on m.id = e.mission_id where e.tenant_id <> m.tenant_id
    union all select d.task_id from dead_letters d join tasks t on t.id = d.task_id where d.tenant_id <> t.tenant_id
    union all select s.task_id from steps s join tasks t on t.id = s.task_id where s.tenant_id <> t.tenant_id
    union all select f.task_id from artifacts f join tasks t on t.id = f.task_id where f.tenant_id <> t.tenant_id
    union all select v.task_id from verifications v join tasks t on t.id = v.task_id where v.tenant_id <> t.tenant_id or v.mission_id <> t.mission_id`,
}
