import { sql } from 'kysely'
import type { Kysely } from 'kysely'

/**
 * What is done to many. `targets` are the ids that fitted when it began, oldest first, and `position` is how many of them have been seen
 * to: the set is fixed, and progress is one compare-and-set of one row. The ids are dropped with the end. `claimed_until` keeps other
 * replicas from the same work for a moment; `turned_at` lets operations take turns.
 */
const STATEMENTS = [
  `create table operations (
    id uuid primary key, tenant_id uuid not null references tenants, action text not null, filter jsonb not null, reason text,
    idempotency_key text, request_hash text not null, correlation_id text not null, created_by text not null,
    state text not null check (state in ('running', 'aborting', 'completed', 'aborted', 'failed')),
    targets uuid[] not null, matched int not null, position int not null default 0 check (position between 0 and matched),
    done int not null default 0, skipped int not null default 0, failed int not null default 0, failures jsonb not null default '[]',
    claimed_until timestamptz, turned_at timestamptz not null default now(), aborted_by text,
    created_at timestamptz not null default now(), ended_at timestamptz, unique (tenant_id, idempotency_key),
    check (done + skipped + failed = position),
    check ((ended_at is not null) = (state in ('completed', 'aborted', 'failed'))),
    check (cardinality(targets) = case when ended_at is null then matched else 0 end),
    check (state <> 'completed' or position = matched),
    check (aborted_by is not null or state not in ('aborting', 'aborted')))`,
  `create index operations_open on operations (turned_at, id) where ended_at is null`,
  `create index operations_newest on operations (tenant_id, id)`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql.raw(`drop table operations`).execute(db)
}
