import type { GateRule, GymRunState, GymSample, Score, SuiteManifest, Verdict } from '@hypercode/contracts'
import type { Generated, JSONColumnType } from 'kysely'
import type { Instant, Jsonb, SetOnce } from './columns.ts'

export interface GymSuiteTable {
  id: string
  tenant_id: string
  name: string
  version: number
  hash: string
  manifest: JSONColumnType<SuiteManifest>
  created_by: string
  created_at: SetOnce
}

export interface GymRunTable {
  id: string
  tenant_id: string
  suite: string
  suite_version: number
  blueprint: string
  blueprint_version: number
  blueprint_hash: string
  rule: JSONColumnType<GateRule>
  parallel: number
  planned: number
  passed: Generated<number>
  failed: Generated<number>
  errored: Generated<number>
  state: GymRunState
  verdict: Verdict | null
  reasons: JSONColumnType<string[]>
  error: string | null
  idempotency_key: string | null
  request_hash: string | null
  owner: string | null
  owner_until: Instant | null
  /** How often it was taken over without a sample being finished in between. */
  strikes: Generated<number>
  /** When all that the run had started was ended. */
  cleaned_at: Instant | null
  created_by: string
  created_at: SetOnce
  started_at: Instant | null
  ended_at: Instant | null
}

export interface GymSampleTable {
  id: string
  run_id: string
  tenant_id: string
  /** Place in the plan, from 1. */
  ord: number
  scenario: string
  repetition: number
  state: GymSample['state']
  mission_id: string | null
  task_id: string | null
  outcome: string | null
  output: Jsonb | null
  scores: JSONColumnType<Score[]>
  score: number | null
  latency_ms: number | null
  tokens: number | null
  usd: number | null
  faults: JSONColumnType<string[]> | null
  error: string | null
  tries: Generated<number>
  faults_seen: Generated<number>
  started_at: Instant | null
  ended_at: Instant | null
}

/** How far the production tasks of a blueprint's stable version have been looked through for a suite. */
export interface GymLiveWatchTable {
  tenant_id: string
  suite: string
  blueprint: string
  owner: string | null
  owner_until: Instant | null
  seen_until: Instant
  seen_task: string
}

export interface GymLiveScoreTable {
  tenant_id: string
  task_id: string
  suite: string
  suite_version: number
  blueprint: string
  blueprint_version: number
  blueprint_hash: string
  passed: boolean
  score: number
  scores: JSONColumnType<Score[]>
  latency_ms: number | null
  usd: Generated<number>
  at: Generated<Date>
}
