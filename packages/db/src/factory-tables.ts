import type { BlueprintAlias, BlueprintManifest, Crash, DriverName, Labels, Lifecycle } from '@hypercode/contracts'
import type { Generated, JSONColumnType } from 'kysely'
import type { Instant, Jsonb, SetOnce } from './columns.ts'

export interface BlueprintTable {
  id: string
  tenant_id: string
  name: string
  version: number
  hash: string
  manifest: JSONColumnType<BlueprintManifest>
  created_by: string
  created_at: SetOnce
}

export interface BlueprintAliasTable {
  tenant_id: string
  name: string
  alias: BlueprintAlias
  version: number
  updated_at: Generated<Instant>
}

export interface PromotionTable {
  id: string
  tenant_id: string
  blueprint: string
  kind: 'promoted' | 'demoted' | 'refused'
  version: number
  stable_version: number | null
  hash: string
  run_ids: string[]
  reason: string
  actor: string
  at: SetOnce
}

/** One thing that runs or shall run. Who holds its lease may act on it; the launch id names one start of it for the driver. */
export interface FactoryInstanceTable {
  id: string
  tenant_id: string
  blueprint: string
  version: number
  hash: string
  driver: DriverName
  role: 'member' | 'spare'
  pool: string | null
  labels: JSONColumnType<Labels>
  origin: 'spawned' | 'population' | 'warm' | 'assembly'
  env: JSONColumnType<Record<string, string>>
  client_id: string
  lifecycle: Lifecycle
  desired: 'running' | 'hibernating' | 'stopped'
  reason: string | null
  host: string | null
  launch_id: string | null
  handle: Jsonb | null
  owner: string | null
  owner_until: Instant | null
  next_action_at: Generated<Instant>
  starts: Generated<number>
  crashes: JSONColumnType<Crash[]>
  last_lines: JSONColumnType<string[]> | null
  /** How far the driver's log of the launch was read, and the number of the last line of all launches that was kept. */
  log_cursor: Generated<number>
  log_seq: Generated<number>
  created_at: SetOnce
  started_at: Instant | null
  ready_at: Instant | null
  idle_since: Instant | null
  ended_at: Instant | null
  version_no: Generated<number>
}

/** What was spawned under an idempotency key. */
export interface SpawnTable {
  tenant_id: string
  idempotency_key: string
  request_hash: string
  instance_ids: string[]
  created_at: SetOnce
}

export interface InstanceLogTable {
  instance_id: string
  seq: number
  tenant_id: string
  at: Generated<Date>
  line: string
}
