/**
 * Which replica acts on which instance. An owner holds an instance by a lease that it renews; nobody else starts, ends or judges it. What
 * runs on a machine is held by a replica that can reach that machine, unless nobody has for long.
 */
import type { Crash, DriverName, Health, Labels, Lifecycle } from '@hypercode/contracts'
import type { BlueprintManifest } from '@hypercode/contracts'
import { recordset } from '@hypercode/db'
import type { Db } from '@hypercode/db'
import { sql } from 'kysely'
import type { Driver, Handle } from '../drivers/driver.ts'
import type { FactoryInstance } from '../domain/factory-instance.ts'
import { recipeOf } from '../domain/recipe.ts'

export interface Ownership {
  readonly owner: string
  readonly leaseMs: number
  /** Instances that one replica holds at most. */
  readonly ownedMax: number
  /** A machine that no replica speaks for is given up after this long, when its agent does not beat either. */
  readonly hostLostMs: number
}

/** Renews what is held and takes what nobody holds; answers how many that changed. */
export async function holdInstances(
  db: Db,
  { owner, leaseMs, ownedMax, hostLostMs }: Ownership,
  drivers: readonly Driver[],
): Promise<number> {
  const places = drivers.map(({ name, host }) => ({ name, host }))
  const result = await sql`
    with mine as (select count(*) as n from factory_instances f where f.ended_at is null and f.owner = ${owner}),
    renewed as (
      select f.id from factory_instances f
      where f.ended_at is null and f.owner = ${owner} and f.owner_until < now() + ${leaseMs / 2} * interval '1 millisecond'
      for update skip locked),
    taken as (
      select f.id from factory_instances f
      where f.ended_at is null and f.owner is distinct from ${owner} and (f.owner_until is null or f.owner_until < now())
        and f.driver in (select name from ${recordset(places, 'd', 'name text, host text')})
        and (f.launch_id is null or (f.driver, f.host) in (select name, host from ${recordset(places, 'd', 'name text, host text')})
          or (f.owner_until < now() - ${hostLostMs} * interval '1 millisecond' and not exists (
            select 1 from agent_instances a where a.tenant_id = f.tenant_id and a.subject = f.client_id::text
              and a.lease_expires_at > now())))
      order by f.next_action_at limit greatest(0, ${ownedMax} - (select n from mine))
      for update skip locked)
    update factory_instances f set owner = ${owner}, owner_until = now() + ${leaseMs} * interval '1 millisecond'
    where f.id in (select id from renewed union all select id from taken)`.execute(db)
  return Number(result.numAffectedRows ?? 0n)
}

/** Lets others have them at once. */
export async function releaseInstances(db: Db, owner: string): Promise<void> {
  await sql`update factory_instances set owner = null, owner_until = now() where ended_at is null and owner = ${owner}`.execute(
    db,
  )
}

interface Row {
  readonly id: string
  readonly tenantId: string
  readonly blueprint: string
  readonly version: number
  readonly driver: DriverName
  readonly role: 'member' | 'spare'
  readonly pool: string | null
  readonly labels: Labels
  readonly env: Record<string, string>
  readonly clientId: string
  readonly lifecycle: Lifecycle
  readonly desired: FactoryInstance['desired']
  readonly host: string | null
  readonly launchId: string | null
  readonly handle: Handle | null
  readonly starts: number
  readonly crashes: Crash[]
  readonly isReady: boolean
  readonly logCursor: number
  readonly versionNo: number
  readonly now: Date
  readonly sinceStartMs: number | null
  readonly dueInMs: number
  readonly health: Health | null
  readonly isBeating: boolean | null
  readonly loopLagMs: number | null
  readonly manifest: BlueprintManifest
}

/** What the owner holds now, each with what the registry knows of its agent since the launch. */
export async function readOwned(db: Db, owner: string, populationMax: number): Promise<FactoryInstance[]> {
  const found = await sql<Row>`
    select f.id, f.tenant_id as "tenantId", f.blueprint, f.version, f.driver, f.role, f.pool, f.labels, f.env, f.client_id as "clientId",
      f.lifecycle, f.desired, f.host, f.launch_id as "launchId", f.handle, f.starts, f.crashes, f.ready_at is not null as "isReady",
      f.log_cursor as "logCursor", f.version_no as "versionNo", now() as now,
      (extract(epoch from now() - f.started_at) * 1000)::float8 as "sinceStartMs",
      (extract(epoch from f.next_action_at - now()) * 1000)::float8 as "dueInMs",
      a.health, a.lease_expires_at > now() as "isBeating", a.loop_lag_ms as "loopLagMs", b.manifest
    from factory_instances f
    join blueprints b on b.tenant_id = f.tenant_id and b.name = f.blueprint and b.version = f.version
    left join agent_instances a on a.tenant_id = f.tenant_id and a.subject = f.client_id::text and a.registered_at >= f.started_at
    where f.ended_at is null and f.owner = ${owner} and f.owner_until > now()
    order by f.id`.execute(db)
  return found.rows.map(({ health, isBeating, loopLagMs, manifest, ...row }) => ({
    ...row,
    vitals: health === null ? undefined : { health, isBeating: isBeating === true, loopLagMs: loopLagMs ?? 0 },
    recipe: recipeOf(manifest, populationMax),
  }))
}

/** Of these launches, the ones that an instance still claims. */
export async function claimedLaunches(db: Db, launchIds: readonly string[]): Promise<Set<string>> {
  if (launchIds.length === 0) return new Set()
  const found = await sql<{ id: string }>`select launch_id as id from factory_instances
    where ended_at is null and launch_id = any(${[...launchIds]}::uuid[])`.execute(db)
  return new Set(found.rows.map((row) => row.id))
}
