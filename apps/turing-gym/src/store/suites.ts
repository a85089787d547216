import { newId } from '@hypercode/contracts'
import type { Suite, SuiteManifest } from '@hypercode/contracts'
import { charsOf, inTransaction, readPage, writeAudit } from '@hypercode/db'
import type { Cut, Db } from '@hypercode/db'
import { contentHash } from '@hypercode/manifest'
import { sql } from 'kysely'

interface SuiteRow {
  id: string
  name: string
  version: number
  hash: string
  manifest: SuiteManifest
  created_by: string
  created_at: Date
}

const COLUMNS = sql.raw('s.id, s.name, s.version, s.hash, s.manifest, s.created_by, s.created_at')

const toSuite = (row: SuiteRow): Suite => ({
  id: row.id,
  name: row.name,
  version: row.version,
  hash: row.hash,
  manifest: row.manifest,
  createdAt: row.created_at.toISOString(),
  createdBy: row.created_by,
})

/**
 * Stores the next version of a suite, which `make` forms from the latest one; content that equals the latest version is that version.
 * What `make` throws leaves everything as it was.
 */
export async function storeSuite(
  db: Db,
  who: { tenantId: string; actor: string; name: string },
  make: (latest: Suite | undefined) => SuiteManifest,
): Promise<{ suite: Suite; created: boolean }> {
  const { tenantId, actor, name } = who
  return await inTransaction(db, async (trx) => {
    // Two that store the same suite at once take turns, so that versions stay dense and equal content one version.
    await sql`select pg_advisory_xact_lock(hashtextextended(${`suite ${tenantId} ${name}`}, 0))`.execute(trx)
    const latest = await findSuite(trx, tenantId, name, 'latest')
    const manifest = make(latest)
    const hash = contentHash(manifest)
    if (latest?.hash === hash) return { suite: latest, created: false }
    const stored = await sql<SuiteRow>`
      insert into gym_suites as s (id, tenant_id, name, version, hash, manifest, created_by)
      values (${newId()}, ${tenantId}, ${name}, ${(latest?.version ?? 0) + 1}, ${hash}, ${JSON.stringify(manifest)}::jsonb, ${actor})
      returning ${COLUMNS}`.execute(trx)
    const suite = toSuite(stored.rows[0] as SuiteRow)
    const detail = { name, version: suite.version, hash }
    await writeAudit(trx, [{ tenantId, actor, action: 'suite.created', ref: suite.id, detail }])
    return { suite, created: true }
  })
}

export async function findSuite(
  db: Db,
  tenantId: string,
  name: string,
  version: number | 'latest',
): Promise<Suite | undefined> {
  const found = await sql<SuiteRow>`select ${COLUMNS} from gym_suites s
    where s.tenant_id = ${tenantId} and s.name = ${name} ${version === 'latest' ? sql`` : sql`and s.version = ${version}`}
    order by s.version desc limit 1`.execute(db)
  return found.rows[0] && toSuite(found.rows[0])
}

/** The latest version of every suite, by name, after `cursor`. */
export async function listSuites(
  db: Db,
  tenantId: string,
  limit: number,
  cursor: string | undefined,
): Promise<Cut<Suite>> {
  const rows = sql`select distinct on (s.name) ${COLUMNS} from gym_suites s
    where s.tenant_id = ${tenantId} and s.name > ${cursor ?? ''} order by s.name, s.version desc limit ${limit}`
  const page = await readPage<SuiteRow>(db, rows, charsOf('manifest'), sql`p.name`)
  return { ...page, rows: page.rows.map(toSuite) }
}
