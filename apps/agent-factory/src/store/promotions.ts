import { newId } from '@hypercode/contracts'
import type { Verdict } from '@hypercode/contracts'
import type { Db, Trx } from '@hypercode/db'
import { sql } from 'kysely'
import type { PastDecision, SuiteEvidence } from '../domain/gate.ts'
import type { BlueprintRecord } from './blueprints.ts'

export interface PromotionRecord {
  readonly id: string
  readonly blueprint: string
  readonly kind: 'promoted' | 'demoted' | 'refused'
  readonly version: number
  readonly stable: number | null
  readonly hash: string
  readonly runIds: string[]
  readonly reason: string
  readonly actor: string
  readonly at: Date
}

const columns = sql`p.id, p.blueprint, p.kind, p.version, p.stable_version as stable, p.hash, p.run_ids as "runIds", p.reason, p.actor, p.at`

/** Writes one decision; call it in the transaction of what it decides. */
export async function addPromotion(
  trx: Trx,
  tenantId: string,
  decision: Omit<PromotionRecord, 'id' | 'at'>,
): Promise<PromotionRecord> {
  const { blueprint, kind, version, stable, hash, runIds, reason, actor } = decision
  const added = await sql<PromotionRecord>`
    insert into promotions as p (id, tenant_id, blueprint, kind, version, stable_version, hash, run_ids, reason, actor)
    values (${newId()}, ${tenantId}, ${blueprint}, ${kind}, ${version}, ${stable}, ${hash}, ${[...runIds]}::uuid[], ${reason}, ${actor})
    returning ${columns}`.execute(trx)
  const [row] = added.rows
  if (row === undefined) throw new Error('the decision was not written')
  return row
}

/** Newest first, below the id `below` when given. */
export async function listPromotions(
  db: Db,
  tenantId: string,
  blueprint: string,
  page: { limit: number; below: string | undefined },
): Promise<PromotionRecord[]> {
  const found = await sql<PromotionRecord>`select ${columns} from promotions p
    where p.tenant_id = ${tenantId} and p.blueprint = ${blueprint} ${page.below === undefined ? sql`` : sql`and p.id < ${page.below}`}
    order by p.id desc limit ${page.limit}`.execute(db)
  return found.rows
}

/** Every decision that has moved `stable`, oldest first. */
export async function readHistory(trx: Trx, tenantId: string, blueprint: string): Promise<PastDecision[]> {
  const found = await sql<PastDecision>`select kind, version from promotions
    where tenant_id = ${tenantId} and blueprint = ${blueprint} and kind <> 'refused' order by id`.execute(trx)
  return found.rows
}

/** What the gym knows of exactly this content: by suite, or of every suite that it was run with. */
export async function readEvidence(
  trx: Trx,
  { tenantId, name, hash }: BlueprintRecord,
  suites: readonly string[] | undefined,
): Promise<SuiteEvidence[]> {
  const asked =
    suites === undefined
      ? sql`select distinct r.suite from gym_runs r where r.tenant_id = ${tenantId} and r.blueprint = ${name}
          and r.blueprint_hash = ${hash} and r.state = 'completed'`
      : sql`select unnest(${[...suites]}::text[]) as suite`
  const found = await sql<{
    suite: string
    latestVersion: number | null
    runId: string | null
    suiteVersion: number | null
    verdict: Verdict | null
  }>`
    select q.suite, (select max(s.version) from gym_suites s where s.tenant_id = ${tenantId} and s.name = q.suite) as "latestVersion",
      r.id as "runId", r.suite_version as "suiteVersion", r.verdict
    from (${asked}) q left join lateral (
      select r.id, r.suite_version, r.verdict from gym_runs r
      where r.tenant_id = ${tenantId} and r.blueprint = ${name} and r.blueprint_hash = ${hash} and r.suite = q.suite and r.state = 'completed'
      order by r.ended_at desc, r.id desc limit 1) r on true
    order by q.suite`.execute(trx)
  return found.rows.map(({ suite, latestVersion, runId, suiteVersion, verdict }) => ({
    suite,
    latestVersion: latestVersion ?? undefined,
    run: runId === null || suiteVersion === null || verdict === null ? undefined : { id: runId, suiteVersion, verdict },
  }))
}
