import { sql } from 'kysely'
import type { Kysely } from 'kysely'

/**
 * What the registry searches by. Text is found by its grams (three letters in a row), which core Postgres indexes as an array: a
 * substring of any place is found without an extension that a managed server may not have.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of UP) await sql.raw(statement).execute(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  for (const statement of DOWN) await sql.raw(statement).execute(db)
}

const UP = [
  // A window over the letters, because substr() of every position would be quadratic in a multi-byte encoding.
  `create function agent_grams(text) returns text[] language sql immutable strict parallel safe as $$
    select coalesce(array_agg(distinct gram), '{}') from (
      select letter || lead(letter, 1) over spot || lead(letter, 2) over spot as gram
      from unnest(string_to_array($1, null)) with ordinality as letters (letter, place)
      window spot as (order by place)) as grams
    where gram is not null $$`,
  // The front counts most: what a card says beyond 8,000 letters is not searched.
  `alter table agents add column search_text text generated always as (left(lower(
    name || ' ' || jsonb_path_query_array(skills, '$[*].id')::text || jsonb_path_query_array(skills, '$[*].name')::text
    || coalesce(description, '') || jsonb_path_query_array(skills, '$[*].tags[*]')::text
    || jsonb_path_query_array(skills, '$[*].description')::text), 8000)) stored`,
  `create index agents_by_text on agents using gin (agent_grams(search_text)) where deleted_at is null`,
  `create index agents_newest on agents (tenant_id, id) where deleted_at is null`,
  // Beats change none of these columns, so they stay in-place updates.
  `create index agent_instances_live on agent_instances (tenant_id, health, agent_id)
    where lifecycle not in ('stopped', 'reaped', 'failed')`,
]

const DOWN = [
  'drop index agent_instances_live',
  'drop index agents_newest',
  'drop index agents_by_text',
  'alter table agents drop column search_text',
  'drop function agent_grams(text)',
]
