import { recordset } from '@hypercode/db'
import type { Db } from '@hypercode/db'
import { sql } from 'kysely'

/** Blueprints that a crew names: `coder@3`, `coder@stable`. */
export interface BlueprintAsk {
  tenantId: string
  references: readonly string[]
}

/** Per ask, in order: the version that each of its references means at this moment; what means none is missing. One statement for all. */
export async function findBlueprints(db: Db, asks: readonly BlueprintAsk[]): Promise<Map<string, number>[]> {
  const rows = asks.flatMap(({ tenantId, references }, ord) =>
    references.map((reference) => ({ ord, tenant_id: tenantId, reference, ...partsOf(reference) })),
  )
  const columns = 'ord int, tenant_id uuid, reference text, name text, version int, alias text'
  const found = await sql<{ ord: number; reference: string; version: number }>`
    select r.ord, r.reference, b.version from ${recordset(rows, 'r', columns)}
    left join blueprint_aliases a on a.tenant_id = r.tenant_id and a.name = r.name and a.alias = r.alias
    join blueprints b on b.tenant_id = r.tenant_id and b.name = r.name and b.version = coalesce(r.version, a.version)`.execute(
    db,
  )
  const answers = asks.map(() => new Map<string, number>())
  for (const { ord, reference, version } of found.rows) answers[ord]?.set(reference, version)
  return answers
}

function partsOf(reference: string): { name: string; version: number | null; alias: string | null } {
  const [name, which] = reference.split('@') as [string, string]
  return /^\d/.test(which) ? { name, version: Number(which), alias: null } : { name, version: null, alias: which }
}
