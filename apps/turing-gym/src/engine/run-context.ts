import type { HyperClient } from '@hypercode/client'
import type { SuiteManifest } from '@hypercode/contracts'
import type { Db } from '@hypercode/db'
import type { Sandbox } from '@hypercode/sandbox'
import type { Logger } from '@hypercode/telemetry'
import type { GymMetrics } from '../metrics.ts'
import type { Identity } from '../platform/identity.ts'
import type { ModelEndpoint, ScorerModules } from '../scoring/index.ts'
import type { BlueprintVersion } from '../store/blueprints.ts'
import type { MoveDeps } from '../store/run-moves.ts'
import type { RunRecord } from '../store/runs.ts'

/** Bounds of everything that the engine does. Times in milliseconds. */
export interface EngineSettings {
  /** Folder of all workspaces, its real path. */
  readonly folder: string
  readonly runsMax: number
  /** How often a sample is tried that the platform spoils. */
  readonly sampleTries: number
  readonly sampleTimeMs: number
  readonly readyMs: number
  readonly leaseMs: number
}

/** What the engine works with. */
export interface EngineDeps extends MoveDeps {
  readonly identity: Identity
  readonly log: Logger
  readonly metrics: GymMetrics
  readonly settings: EngineSettings
  readonly sandbox: Sandbox | undefined
  readonly modules: ScorerModules
  /** The model that judges, and that fault proxies stand before when a blueprint names none. */
  readonly model: ModelEndpoint | undefined
}

/** One run in the hands of this process. */
export interface RunContext {
  readonly deps: EngineDeps
  readonly db: Db
  readonly owner: string
  readonly run: RunRecord
  readonly suite: SuiteManifest
  readonly blueprint: BlueprintVersion
  readonly client: HyperClient
}

/** The run was canceled, or another process carries it on. */
export class RunLost extends Error {
  override readonly name = 'RunLost'
}
