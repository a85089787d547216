import type { BlueprintManifest } from '@hypercode/contracts'
import type { Db } from '@hypercode/db'
import { sql } from 'kysely'

/** One version of a blueprint, as the factory has stored it. */
export interface BlueprintVersion {
  readonly name: string
  readonly version: number
  readonly hash: string
  readonly manifest: BlueprintManifest
}

/** By number, `latest`, or an alias; undefined when there is none, or the alias points nowhere. */
export async function findBlueprint(
  db: Db,
  tenantId: string,
  name: string,
  ref: string,
): Promise<BlueprintVersion | undefined> {
  const which = /^[0-9]+$/.test(ref)
    ? sql`and b.version = ${Number(ref)}`
    : ref === 'latest'
      ? sql``
      : sql`and b.version = (select version from blueprint_aliases a where a.tenant_id = b.tenant_id and a.name = b.name and a.alias = ${ref})`
  const found = await sql<BlueprintVersion>`select b.name, b.version, b.hash, b.manifest from blueprints b
    where b.tenant_id = ${tenantId} and b.name = ${name} ${which} order by b.version desc limit 1`.execute(db)
  return found.rows[0]
}
