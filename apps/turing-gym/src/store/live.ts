import type { Score, SuiteManifest } from '@hypercode/contracts'
import type { Db } from '@hypercode/db'
import { sql } from 'kysely'
import type { JudgedSample } from '../statistics/index.ts'

/** A stable version whose gate has a suite that scores production tasks. */
export interface LiveWatch {
  readonly tenantId: string
  readonly suite: string
  readonly suiteVersion: number
  readonly manifest: SuiteManifest
  readonly blueprint: string
  readonly blueprintVersion: number
  readonly blueprintHash: string
}

/** A production task that was executed by an instance of the watched version. */
export interface LiveTask {
  readonly id: string
  readonly missionId: string
}

/** Everything that is to be watched, of all tenants. */
export async function listWatches(db: Db): Promise<LiveWatch[]> {
  const found = await sql<LiveWatch>`
    select b.tenant_id as "tenantId", s.name as suite, s.version as "suiteVersion", s.manifest, b.name as blueprint,
      b.version as "blueprintVersion", b.hash as "blueprintHash"
    from blueprint_aliases a
    join blueprints b on b.tenant_id = a.tenant_id and b.name = a.name and b.version = a.version
    cross join lateral jsonb_array_elements_text(b.manifest #> '{spec,gate,suites}') g (suite)
    cross join lateral (select * from gym_suites s where s.tenant_id = b.tenant_id and s.name = g.suite order by s.version desc limit 1) s
    where a.alias = 'stable' and s.manifest -> 'spec' ? 'live' order by b.tenant_id, b.name, s.name`.execute(db)
  return found.rows
}

export interface WatchLease {
  readonly owner: string
  readonly leaseMs: number
}

/** Takes a watch unless another process has it. A new one begins with what ended since the version became stable, at most an hour ago. */
export async function takeWatch(db: Db, watch: LiveWatch, { owner, leaseMs }: WatchLease): Promise<boolean> {
  const taken = await sql`
    insert into gym_live_watches as w (tenant_id, suite, blueprint, owner, owner_until, seen_until, seen_task)
    select a.tenant_id, ${watch.suite}, a.name, ${owner}, now() + ${leaseMs} * interval '1 millisecond',
      greatest(a.updated_at, now() - interval '1 hour'), '00000000-0000-0000-0000-000000000000'
    from blueprint_aliases a where a.tenant_id = ${watch.tenantId} and a.name = ${watch.blueprint} and a.alias = 'stable'
    on conflict (tenant_id, suite, blueprint) do update set owner = excluded.owner, owner_until = excluded.owner_until
      where w.owner = excluded.owner or w.owner_until is null or w.owner_until < now()`.execute(db)
  return taken.numAffectedRows === 1n
}

/** Tasks that ended within the last moments may have company that is still to be committed. */
const SETTLED = sql`now() - interval '1 second'`
/** Tasks of the queue that one look goes through, whoever executed them. */
const LOOK_MAX = 1000

/** What one look found, and up to which task it has looked. */
export interface Look {
  readonly tasks: readonly LiveTask[]
  /** The last task that was looked at; undefined when there was none. */
  readonly last: string | undefined
}

export async function lookForTasks(db: Db, watch: LiveWatch): Promise<Look> {
  const { tenantId, suite, blueprint, blueprintVersion, manifest } = watch
  const found = await sql<{ id: string; missionId: string; ours: boolean }>`
    select t.id, t.mission_id as "missionId", t.state in ('completed', 'failed', 'rejected') and exists (
      select 1 from attempts x join agent_instances i on i.id = x.agent_instance_id
      join factory_instances f on f.tenant_id = t.tenant_id and f.client_id::text = i.subject
      where x.task_id = t.id and x.attempt = t.attempt and f.blueprint = ${blueprint} and f.version = ${blueprintVersion} and f.pool is null) as ours
    from gym_live_watches w
    join lateral (
      select * from tasks t where t.tenant_id = w.tenant_id and t.queue = ${manifest.spec.skill} and t.ended_at is not null
        and (t.ended_at, t.id) > (w.seen_until, w.seen_task) and t.ended_at < ${SETTLED}
      order by t.ended_at, t.id limit ${LOOK_MAX}) t on true
    where w.tenant_id = ${tenantId} and w.suite = ${suite} and w.blueprint = ${blueprint} order by t.ended_at, t.id`.execute(
    db,
  )
  return { tasks: found.rows.filter(({ ours }) => ours), last: found.rows.at(-1)?.id }
}

/** Everything up to this task has been looked at. */
export async function moveWatch(db: Db, watch: LiveWatch, owner: string, taskId: string): Promise<void> {
  await sql`update gym_live_watches w set seen_until = t.ended_at, seen_task = t.id from tasks t
    where t.id = ${taskId} and w.tenant_id = ${watch.tenantId} and w.suite = ${watch.suite} and w.blueprint = ${watch.blueprint} and w.owner = ${owner}
      and (t.ended_at, t.id) > (w.seen_until, w.seen_task)`.execute(db)
}

/** What a production task was worth. */
export interface LiveScore {
  readonly taskId: string
  readonly passed: boolean
  readonly score: number
  readonly scores: readonly Score[]
  readonly latencyMs: number
  readonly usd: number
}

/** A task is scored once per suite, whoever comes first. */
export async function saveLiveScore(db: Db, watch: LiveWatch, live: LiveScore): Promise<void> {
  await sql`
    insert into gym_live_scores (tenant_id, task_id, suite, suite_version, blueprint, blueprint_version, blueprint_hash, passed, score, scores, latency_ms, usd)
    values (${watch.tenantId}, ${live.taskId}, ${watch.suite}, ${watch.suiteVersion}, ${watch.blueprint}, ${watch.blueprintVersion},
      ${watch.blueprintHash}, ${live.passed}, ${live.score}, ${JSON.stringify(live.scores)}::jsonb, ${live.latencyMs}, ${live.usd})
    on conflict do nothing`.execute(db)
}

const JUDGED_MAX = 1000

/** The latest scores since the version became stable, under this version of the suite, oldest first. */
export async function readLiveScores(db: Db, watch: LiveWatch): Promise<JudgedSample[]> {
  const found = await sql<{ passed: boolean; latencyMs: number; usd: number }>`
    select * from (
      select l.passed, l.latency_ms as "latencyMs", l.usd, l.at, l.task_id from gym_live_scores l
      join blueprint_aliases a on a.tenant_id = l.tenant_id and a.name = l.blueprint and a.alias = 'stable' and l.at >= a.updated_at
      where l.tenant_id = ${watch.tenantId} and l.blueprint = ${watch.blueprint} and l.blueprint_hash = ${watch.blueprintHash}
        and l.suite = ${watch.suite} and l.suite_version = ${watch.suiteVersion} order by l.at desc, l.task_id limit ${JUDGED_MAX}) l
    order by l.at, l.task_id desc`.execute(db)
  return found.rows.map(({ passed, latencyMs, usd }, index) => ({
    scenario: 'production',
    repetition: index + 1,
    state: passed ? 'passed' : 'failed',
    latencyMs,
    usd,
  }))
}

/** Whether this version is the stable one at this moment. */
export async function isStable(db: Db, watch: LiveWatch): Promise<boolean> {
  const found =
    await sql`select 1 from blueprint_aliases a where a.tenant_id = ${watch.tenantId} and a.name = ${watch.blueprint}
    and a.alias = 'stable' and a.version = ${watch.blueprintVersion}`.execute(db)
  return found.rows.length === 1
}
