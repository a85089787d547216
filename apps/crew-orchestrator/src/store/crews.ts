import { newId } from '@hypercode/contracts'
import type { Crew, CrewManifest } from '@hypercode/contracts'
import { charsOf, inTransaction, readPage, recordset, writeAudit } from '@hypercode/db'
import type { Cut, Db } from '@hypercode/db'
import { sql } from 'kysely'

interface CrewRow {
  id: string
  name: string
  version: number
  hash: string
  manifest: CrewManifest
  created_at: Date
}

const COLUMNS = sql.raw('c.id, c.name, c.version, c.hash, c.manifest, c.created_at')

const toCrew = (row: CrewRow): Crew => ({
  id: row.id,
  name: row.name,
  version: row.version,
  hash: row.hash,
  manifest: row.manifest,
  createdAt: row.created_at.toISOString(),
})

/** Stores a manifest as the next version of its crew; one that equals the latest version is that version. */
export async function storeCrew(
  db: Db,
  tenantId: string,
  actor: string,
  manifest: CrewManifest,
  hash: string,
): Promise<{ crew: Crew; created: boolean }> {
  return await inTransaction(db, async (trx) => {
    // Two that store the same crew at once take turns, so that versions stay dense and equal manifests one version.
    await sql`select pg_advisory_xact_lock(hashtextextended(${`crew ${tenantId} ${manifest.metadata.name}`}, 0))`.execute(
      trx,
    )
    const latest = await findCrew(trx, tenantId, manifest.metadata.name, 'latest')
    if (latest?.hash === hash) return { crew: latest, created: false }
    const row = await sql<CrewRow>`
      insert into crews as c (id, tenant_id, name, version, hash, manifest, created_by)
      values (${newId()}, ${tenantId}, ${manifest.metadata.name}, ${(latest?.version ?? 0) + 1}, ${hash}, ${JSON.stringify(manifest)}::jsonb, ${actor})
      returning ${COLUMNS}`.execute(trx)
    const crew = toCrew(row.rows[0] as CrewRow)
    await writeAudit(trx, [
      { tenantId, actor, action: 'crew.created', ref: crew.id, detail: { name: crew.name, version: crew.version } },
    ])
    return { crew, created: true }
  })
}

export async function findCrew(
  db: Db,
  tenantId: string,
  name: string,
  version: number | 'latest',
): Promise<Crew | undefined> {
  const found = await findCrews(db, [{ tenantId, name, version }])
  return found[0]
}

export interface CrewRef {
  tenantId: string
  name: string
  version: number | 'latest'
}

/** One crew per reference, in order; undefined for one that does not exist. One statement for all. */
export async function findCrews(db: Db, refs: readonly CrewRef[]): Promise<(Crew | undefined)[]> {
  // A bulk of a thousand missions asks for one crew a thousand times.
  const distinct = new Map(refs.map((ref) => [keyOf(ref), ref]))
  const rows = Array.from(distinct.values(), (ref, ord) => ({
    ord,
    tenant_id: ref.tenantId,
    name: ref.name,
    version: ref.version === 'latest' ? null : ref.version,
  }))
  const found = await sql<CrewRow & { ord: number }>`
    select r.ord, ${COLUMNS} from ${recordset(rows, 'r', 'ord int, tenant_id uuid, name text, version int')}
    cross join lateral (
      select * from crews c where c.tenant_id = r.tenant_id and c.name = r.name and (r.version is null or c.version = r.version)
      order by c.version desc limit 1) c`.execute(db)
  const byOrd = new Map(found.rows.map((row) => [row.ord, toCrew(row)]))
  const ordOf = new Map(Array.from(distinct.keys(), (key, ord) => [key, ord]))
  return refs.map((ref) => byOrd.get(ordOf.get(keyOf(ref)) as number))
}

const keyOf = ({ tenantId, name, version }: CrewRef): string => `${tenantId} ${name}@${version}`

/** The latest version of every crew, by name, after `cursor`. */
export async function listCrews(
  db: Db,
  tenantId: string,
  limit: number,
  cursor: string | undefined,
): Promise<Cut<Crew>> {
  const rows = sql`
    select distinct on (c.name) ${COLUMNS} from crews c where c.tenant_id = ${tenantId} and c.name > ${cursor ?? ''}
    order by c.name, c.version desc limit ${limit}`
  const page = await readPage<CrewRow>(db, rows, charsOf('manifest'), sql`p.name`)
  return { ...page, rows: page.rows.map(toCrew) }
}
