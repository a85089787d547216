import { sql } from 'kysely'
import type { Kysely } from 'kysely'

/** What was spawned under an idempotency key, so that a request which is repeated spawns nothing more. */
const STATEMENTS = [
  `create table spawns (
    tenant_id uuid not null references tenants, idempotency_key text not null, request_hash text not null,
    instance_ids uuid[] not null check (cardinality(instance_ids) > 0), created_at timestamptz not null default now(),
    primary key (tenant_id, idempotency_key))`,
  `create index spawns_oldest on spawns (created_at)`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql.raw(`drop table spawns`).execute(db)
}
