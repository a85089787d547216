/** What the scaler decides on. */
import type { BlueprintManifest } from '@hypercode/contracts'
import type { Db } from '@hypercode/db'
import { sql } from 'kysely'
import type { RawBuilder } from 'kysely'
import { recipeOf } from '../domain/recipe.ts'
import type { ScaleInstance, ScaleSnapshot } from '../domain/scaling.ts'
import type { Mould } from './new-instances.ts'

export interface ScaleTarget {
  readonly tenantId: string
  readonly blueprint: string
  readonly version: number
}

export interface ScaleLimits {
  readonly populationMax: number
  readonly instancesMax: number
  /** A task must have waited for so long before anything is started for it. */
  readonly scaleAfterMs: number
}

/** Queued tasks that are looked at to find versions which they require. */
const REQUIRING_MAX = 10_000
/** Without a stable version, spares are kept for the newest one that was spawned and has a member, or had one until lately. */
const WARM_AFTER_LAST = sql`interval '10 minutes'`

/** Every version that may need another number of instances: stable ones, those that have some, and those that a queued task requires. */
export async function findTargets(db: Db, limit: number): Promise<ScaleTarget[]> {
  const found = await sql<ScaleTarget>`
    select b.tenant_id as "tenantId", b.name as blueprint, b.version from (
      select tenant_id, name, version from blueprint_aliases where alias = 'stable'
      union select tenant_id, blueprint, version from factory_instances where ended_at is null and pool is null
      union select q.tenant_id, split_part(substr(q.required, 11), '@', 1), split_part(q.required, '@', 2)::int from (
        select t.tenant_id, required from (
          select tenant_id, requires from tasks where state = 'queued' and queue not like '%@%' and cardinality(requires) > 0
          limit ${REQUIRING_MAX}) t cross join unnest(t.requires) as required
        where required ~ '^blueprint:[a-z0-9-]+@[1-9][0-9]{0,8}$') q) v
    join blueprints b on b.tenant_id = v.tenant_id and b.name = v.name and b.version = v.version
    order by 1, 2, 3 limit ${limit}`.execute(db)
  return found.rows
}

interface HeadRow {
  readonly hash: string
  readonly manifest: BlueprintManifest
  readonly isStable: boolean
  readonly keepsWarm: boolean
  readonly live: number
}

/** Undefined when there is no such version. */
export async function readSnapshot(
  db: Db,
  target: ScaleTarget,
  limits: ScaleLimits,
): Promise<{ mould: Mould; snapshot: ScaleSnapshot } | undefined> {
  const { tenantId, blueprint, version } = target
  const heads = await sql<HeadRow>`
    select b.hash, b.manifest, coalesce(s.version = b.version, false) as "isStable",
      b.version = coalesce(s.version, (select max(f.version) from factory_instances f
        where f.tenant_id = b.tenant_id and f.blueprint = b.name and f.role = 'member' and f.pool is null
          and (f.ended_at is null or f.ended_at > now() - ${WARM_AFTER_LAST}))) as "keepsWarm",
      (select count(*) from factory_instances where ended_at is null)::int as live
    from blueprints b
    left join blueprint_aliases s on s.tenant_id = b.tenant_id and s.name = b.name and s.alias = 'stable'
    where b.tenant_id = ${tenantId} and b.name = ${blueprint} and b.version = ${version}`.execute(db)
  const [head] = heads.rows
  if (head === undefined) return undefined
  const recipe = recipeOf(head.manifest, limits.populationMax)
  const { skills, slots, driver } = recipe
  const { min, max } = recipe.population
  const snapshot: ScaleSnapshot = {
    isStable: head.isStable,
    keepsWarm: head.keepsWarm === true,
    min,
    max,
    slots,
    warmPool: recipe.warmPool,
    idleTtlMs: recipe.idleTtlMs,
    ...(await countQueued(db, target, skills, head.isStable, max * slots, limits.scaleAfterMs)),
    room: Math.max(0, limits.instancesMax - head.live),
    instances: await readScaleInstances(db, target),
  }
  return { mould: { tenantId, blueprint, version, hash: head.hash, driver, skills }, snapshot }
}

/** Tasks that instances of the version could claim, told apart when it is not stable by whether they require it. No more than matter. */
async function countQueued(
  db: Db,
  { tenantId, blueprint, version }: ScaleTarget,
  skills: readonly string[],
  isStable: boolean,
  most: number,
  afterMs: number,
): Promise<Pick<ScaleSnapshot, 'queued' | 'others'>> {
  const own = `blueprint:${blueprint}@${version}`
  const count = (requires: RawBuilder<boolean>) => sql`(select count(*)::int from (
    select 1 from tasks t where t.tenant_id = ${tenantId} and t.queue = any(${[...skills]}::text[]) and t.state = 'queued'
      and t.requires <@ ${[...skills, own]}::text[] and ${requires}
      and coalesce(t.available_at, t.created_at) <= now() - ${afterMs} * interval '1 millisecond'
    limit ${most}) q)`
  const requiresIt = sql<boolean>`${own} = any(t.requires)`
  const found = await sql<Pick<ScaleSnapshot, 'queued' | 'others'>>`select
    ${count(isStable ? sql<boolean>`true` : requiresIt)} as queued,
    ${isStable ? sql`0` : count(sql<boolean>`not (${requiresIt})`)} as others`.execute(db)
  return found.rows[0] ?? { queued: 0, others: 0 }
}

async function readScaleInstances(db: Db, { tenantId, blueprint, version }: ScaleTarget): Promise<ScaleInstance[]> {
  const own = `blueprint:${blueprint}@${version}`
  const found = await sql<ScaleInstance>`
    select f.id, f.role, f.origin,
      case when f.desired = 'stopped' then 'leaving'
        when f.lifecycle = 'quarantined' then 'quarantined'
        when f.lifecycle = 'hibernating' and f.desired = 'hibernating' then 'asleep'
        when f.lifecycle = 'ready' or (f.role = 'spare' and f.lifecycle = 'warming' and f.ready_at is not null) then 'ready'
        else 'starting' end as state,
      work.busy, work.required,
      coalesce(extract(epoch from now() - f.idle_since) * 1000, 0)::float8 as "idleMs"
    from factory_instances f
    cross join lateral (
      select count(*)::int as busy, (count(*) filter (where ${own} = any(t.requires)))::int as required
      from agent_instances a join tasks t on t.lease_owner = a.id and t.state = 'executing'
      where a.tenant_id = f.tenant_id and a.subject = f.client_id::text) work
    where f.tenant_id = ${tenantId} and f.blueprint = ${blueprint} and f.version = ${version} and f.pool is null and f.ended_at is null
    order by f.id`.execute(db)
  return found.rows
}

/** Notes since when ready instances have had nothing to do. */
export async function noteIdleness(db: Db): Promise<void> {
  await sql`
    with looked as (
      select f.id, f.idle_since, exists (select 1 from tasks t join agent_instances a on a.id = t.lease_owner
        where a.tenant_id = f.tenant_id and a.subject = f.client_id::text and t.state = 'executing') as busy
      from factory_instances f where f.ended_at is null and f.lifecycle = 'ready' and f.pool is null)
    update factory_instances f set idle_since = case when l.busy then null else now() end
    from looked l where f.id = l.id and l.busy = (l.idle_since is not null)`.execute(db)
}
