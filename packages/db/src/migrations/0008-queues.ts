import { sql } from 'kysely'
import type { Kysely } from 'kysely'

/**
 * What decides which queued task is next, and what holds one back.
 *
 * `rank_at` is when a task would have been queued if it had no priority and its mission had queued nothing else with it: a step of
 * priority is worth ten minutes of waiting, and each task that its mission queued together with it costs ten seconds. All keys move on
 * with the clock together, so two tasks keep their order for ever and an index holds it; what comes later has a later key in the end,
 * so nothing starves.
 *
 * The functions are volatile on purpose: a volatile function sees what was committed when each of its statements begins, not when the
 * statement around it began. Who has the lock therefore counts every place that others have taken, and nobody takes one meanwhile.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of [...TASKS, ...CONTROLS]) await sql.raw(statement).execute(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql.raw(`drop function keyed_ready, executing_in_queue`).execute(db)
  await sql.raw(`drop table queue_controls`).execute(db)
  await sql.raw(`drop index tasks_of_key, tasks_keyed, tasks_held, tasks_claimable`).execute(db)
  await sql
    .raw(
      `alter table tasks drop column rank_at, drop column ungated, drop column turn, drop column held, drop column concurrency_key, drop column concurrency_limit`,
    )
    .execute(db)
  await sql
    .raw(
      `create index tasks_claimable on tasks (tenant_id, queue, priority desc, available_at, id) where state = 'queued'`,
    )
    .execute(db)
}

const TASKS = [
  // Cut off from the time zone of the session, which a generated column must not depend on.
  `alter table tasks add column turn int not null default 0, add column held boolean not null default false,
    add column concurrency_key text, add column concurrency_limit int check (concurrency_limit > 0),
    add column rank_at timestamp generated always as
      ((available_at at time zone 'UTC') + turn * interval '10 seconds' - priority * interval '10 minutes') stored,
    add column ungated boolean generated always as (concurrency_key is null and not held) stored,
    add check (not held or state = 'queued')`,
  `drop index tasks_claimable`,
  `create index tasks_claimable on tasks (tenant_id, queue, ungated, rank_at, id) where state = 'queued'`,
  `create index tasks_keyed on tasks (tenant_id, queue, hashtext(concurrency_key), concurrency_key, rank_at, id)
    where state = 'queued' and concurrency_key is not null and not held`,
  `create index tasks_of_key on tasks (tenant_id, concurrency_key, queue) where concurrency_key is not null and state in ('queued', 'executing')`,
  // The queued tasks of paused missions: a claim must not read through thousands of them to find one that it may take.
  `create index tasks_held on tasks (mission_id) where held`,
]

const CONTROLS = [
  `create table queue_controls (
    tenant_id uuid not null references tenants, queue text not null, paused_at timestamptz, paused_by text,
    max_executing int check (max_executing > 0), updated_at timestamptz not null default now(), primary key (tenant_id, queue))`,
  // How many tasks of the queue execute, or null while another claim is at it.
  `create function executing_in_queue(tenant uuid, wanted text) returns int language plpgsql volatile as $$
    declare used int;
    begin
      if not pg_try_advisory_xact_lock(hashtextextended(tenant || ' queue ' || wanted, 0)) then return null; end if;
      select count(*) into used from tasks t where t.lease_owner is not null and t.tenant_id = tenant and t.queue = wanted;
      return used;
    end $$`,
  // The best queued tasks with a key, at most so many, of keys that have a place left; a row without id says that another claim is at one.
  // Keys are walked through by their hash, from a random place on and round to it, some hundreds in a call: where there are more, each
  // call sees others, and none is left out for ever.
  `create function keyed_ready(tenant uuid, queues text[], skills text[], most int) returns table (queue text, id uuid, rank_at timestamp)
    language plpgsql volatile as $$
    declare
      head record;
      used int;
      found int := 0;
      place int := (random() * 4294967290)::bigint - 2147483645;
    begin
      for head in
        with recursive keys as (
          select s.queue, arm.hi, first.hash, first.concurrency_key, 1 as n
          from unnest(queues) as s(queue) cross join (values (place, 2147483647), (-2147483648, place - 1)) as arm(lo, hi) cross join lateral (
            select hashtext(t.concurrency_key) as hash, t.concurrency_key from tasks t where t.tenant_id = tenant and t.queue = s.queue
              and t.state = 'queued' and not t.held and t.concurrency_key is not null
              and hashtext(t.concurrency_key) >= arm.lo and hashtext(t.concurrency_key) <= arm.hi
            order by hashtext(t.concurrency_key), t.concurrency_key limit 1) first
          union all
          select k.queue, k.hi, further.hash, further.concurrency_key, k.n + 1 from keys k cross join lateral (
            select hashtext(t.concurrency_key) as hash, t.concurrency_key from tasks t where t.tenant_id = tenant and t.queue = k.queue
              and t.state = 'queued' and not t.held and t.concurrency_key is not null
              and (hashtext(t.concurrency_key), t.concurrency_key) > (k.hash, k.concurrency_key) and hashtext(t.concurrency_key) <= k.hi
            order by hashtext(t.concurrency_key), t.concurrency_key limit 1) further
          where k.n < 500)
        select k.concurrency_key as key, min(best.rank_at) as rank_at from keys k cross join lateral (
          select t.rank_at, t.concurrency_limit from tasks t where t.tenant_id = tenant and t.queue = k.queue and t.state = 'queued' and not t.held
            and hashtext(t.concurrency_key) = k.hash and t.concurrency_key = k.concurrency_key and t.requires <@ skills
            and (select m.cancel_requested_at is null and m.state <> 'paused' from missions m where m.id = t.mission_id)
          order by t.rank_at, t.id limit 1) best
        where best.concurrency_limit > (
          select count(*) from tasks t where t.tenant_id = tenant and t.concurrency_key = k.concurrency_key and t.state = 'executing')
        group by k.concurrency_key order by min(best.rank_at), k.concurrency_key
      loop
        exit when found >= most;
        if not pg_try_advisory_xact_lock(hashtextextended(tenant || ' key ' || head.key, 0)) then
          return query select null::text, null::uuid, null::timestamp;
          continue;
        end if;
        select count(*) into used from tasks t where t.tenant_id = tenant and t.concurrency_key = head.key and t.state = 'executing';
        return query
          select r.queue, r.id, r.rank_at from (
            select c.*, row_number() over (order by c.rank_at, c.id) as nth from unnest(queues) as s(queue) cross join lateral (
              select t.queue, t.id, t.rank_at, t.concurrency_limit from tasks t where t.tenant_id = tenant and t.queue = s.queue
                and t.state = 'queued' and not t.held and hashtext(t.concurrency_key) = hashtext(head.key) and t.concurrency_key = head.key and t.requires <@ skills
                and (select m.cancel_requested_at is null and m.state <> 'paused' from missions m where m.id = t.mission_id)
              order by t.rank_at, t.id limit most) c) r
          where r.nth + used <= r.concurrency_limit order by r.nth limit most;
        found := found + 1;
      end loop;
    end $$`,
]
