import { newId } from '@hypercode/contracts'
import type { BlueprintAlias, BlueprintManifest } from '@hypercode/contracts'
import type { Db, Trx } from '@hypercode/db'
import { changeFleet } from '@hypercode/events'
import type { Publish } from '@hypercode/events'
import { contentHash } from '@hypercode/manifest'
import { sql } from 'kysely'

export interface BlueprintRecord {
  readonly id: string
  readonly tenantId: string
  readonly name: string
  readonly version: number
  readonly hash: string
  readonly manifest: BlueprintManifest
  readonly aliases: BlueprintAlias[]
  readonly createdAt: Date
  readonly createdBy: string
}

const columns = sql`b.id, b.tenant_id as "tenantId", b.name, b.version, b.hash, b.manifest, b.created_at as "createdAt", b.created_by as "createdBy",
  coalesce((select json_agg(a.alias order by a.alias) from blueprint_aliases a
    where a.tenant_id = b.tenant_id and a.name = b.name and a.version = b.version), '[]') as aliases`

/** Stores a version and points `candidate` at it. Content that is there already keeps its version, and every alias stays where it is. */
export async function storeBlueprint(
  { db, publish }: { db: Db; publish: Publish },
  { tenantId, actor }: { tenantId: string; actor: string },
  manifest: BlueprintManifest,
): Promise<{ blueprint: BlueprintRecord; created: boolean }> {
  const { name } = manifest.metadata
  const hash = contentHash(manifest)
  return await changeFleet(db, publish, [tenantId], async (trx, journal) => {
    const known = await sql<BlueprintRecord>`select ${columns} from blueprints b
      where b.tenant_id = ${tenantId} and b.name = ${name} and b.hash = ${hash}`.execute(trx)
    if (known.rows[0] !== undefined) return { blueprint: known.rows[0], created: false }
    // The head of the tenant is held, so nobody else counts versions now.
    const stored = await sql<{ version: number }>`
      insert into blueprints (id, tenant_id, name, version, hash, manifest, created_by)
      select ${newId()}, ${tenantId}, ${name}, coalesce(max(version), 0) + 1, ${hash}, ${JSON.stringify(manifest)}::jsonb, ${actor}
      from blueprints where tenant_id = ${tenantId} and name = ${name} returning version`.execute(trx)
    const version = stored.rows[0]?.version ?? 1
    await pointAlias(trx, tenantId, name, 'candidate', version)
    const body = { name, version, hash }
    journal.add({ tenantId, type: 'blueprint.created', ref: `blueprints/${name}/versions/${version}`, body })
    journal.audit({ tenantId, actor, action: 'blueprint.created', ref: `${name}@${version}`, detail: body })
    const blueprint = await findBlueprint(trx, tenantId, name, String(version))
    if (blueprint === undefined) throw new Error(`the blueprint ${name}@${version} that was just stored is not there`)
    return { blueprint, created: true }
  })
}

export async function pointAlias(
  trx: Trx,
  tenantId: string,
  name: string,
  alias: BlueprintAlias,
  version: number | undefined,
): Promise<void> {
  if (version === undefined) {
    await sql`delete from blueprint_aliases where tenant_id = ${tenantId} and name = ${name} and alias = ${alias}`.execute(
      trx,
    )
    return
  }
  await sql`insert into blueprint_aliases (tenant_id, name, alias, version) values (${tenantId}, ${name}, ${alias}, ${version})
    on conflict (tenant_id, name, alias) do update set version = excluded.version, updated_at = now()`.execute(trx)
}

/** By number, alias or `latest`. */
export async function findBlueprint(
  db: Db,
  tenantId: string,
  name: string,
  ref: string,
): Promise<BlueprintRecord | undefined> {
  const which =
    ref === 'latest'
      ? sql`(select max(version) from blueprints where tenant_id = ${tenantId} and name = ${name})`
      : /^\d+$/.test(ref)
        ? sql`${Number(ref)}::int`
        : sql`(select version from blueprint_aliases where tenant_id = ${tenantId} and name = ${name} and alias = ${ref})`
  const found = await sql<BlueprintRecord>`select ${columns} from blueprints b
    where b.tenant_id = ${tenantId} and b.name = ${name} and b.version = ${which}`.execute(db)
  return found.rows[0]
}

/** The latest version of each, by name, after the name `after` when given. */
export async function listBlueprints(
  db: Db,
  tenantId: string,
  page: { limit: number; after: string | undefined },
): Promise<BlueprintRecord[]> {
  const found = await sql<BlueprintRecord>`select ${columns} from blueprints b
    where b.tenant_id = ${tenantId} and b.name > ${page.after ?? ''}
      and not exists (select 1 from blueprints n where n.tenant_id = b.tenant_id and n.name = b.name and n.version > b.version)
    order by b.name limit ${page.limit}`.execute(db)
  return found.rows
}

/** Stable versions that offer every one of these skills, newest first. */
export async function findStableOffering(
  db: Db,
  tenantId: string,
  skills: readonly string[],
): Promise<BlueprintRecord | undefined> {
  const found = await sql<BlueprintRecord>`select ${columns} from blueprints b
    join blueprint_aliases s on s.tenant_id = b.tenant_id and s.name = b.name and s.version = b.version and s.alias = 'stable'
    where b.tenant_id = ${tenantId} and b.manifest -> 'spec' -> 'skills' @> ${JSON.stringify(skills)}::jsonb
    order by b.name limit 1`.execute(db)
  return found.rows[0]
}
