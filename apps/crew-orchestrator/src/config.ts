import { PortVariable, loadConfig, serviceVariables, verifierVariables } from '@hypercode/config'
import type { Env } from '@hypercode/config'
import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'

const Milliseconds = (value: number, minimum: number, maximum: number) =>
  Type.Integer({ minimum, maximum, default: value })

export const OrchestratorConfig = Type.Object({
  ...serviceVariables,
  ...verifierVariables,
  ORCHESTRATOR_PORT: PortVariable(7020),
  /** Connections of this process; three of them are kept for what agents report, so that it never waits behind submits. */
  ORCHESTRATOR_POOL_MAX: Type.Integer({ minimum: 4, maximum: 100, default: 8 }),
  AGENT_LEASE_MS: Milliseconds(15_000, 1000, 600_000),
  ORCHESTRATOR_SWEEP_MS: Milliseconds(1000, 100, 60_000),
  CLAIM_POLL_MS: Milliseconds(2000, 100, 30_000),
  CLAIMS_WAITING_MAX: Type.Integer({ minimum: 1, maximum: 100_000, default: 5000 }),
  LANE_BATCH_MAX: Type.Integer({ minimum: 1, maximum: 5000, default: 1000 }),
  LANE_WAITING_MAX: Type.Integer({ minimum: 1, maximum: 1_000_000, default: 20_000 }),
  /** Missions of a tenant that may be open at once. */
  MISSIONS_OPEN_MAX: Type.Integer({ minimum: 1, maximum: 10_000_000, default: 100_000 }),
  /** Operations of a tenant that have not ended, targets of one, and how many of those are taken at a time. */
  OPERATIONS_OPEN_MAX: Type.Integer({ minimum: 1, maximum: 1000, default: 10 }),
  OPERATION_TARGETS_MAX: Type.Integer({ minimum: 1, maximum: 100_000, default: 50_000 }),
  OPERATION_BATCH_MAX: Type.Integer({ minimum: 1, maximum: 1000, default: 100 }),
  /** Characters that a task may bring out as events while it runs, in all its attempts. */
  TASK_OUTPUT_MAX_CHARS: Type.Integer({ minimum: 0, maximum: 1_000_000_000, default: 1_048_576 }),
  /** Time that running tasks of a canceled mission have to stop by themselves. */
  CANCEL_GRACE_MS: Milliseconds(30_000, 0, 3_600_000),
  /** Missions are deleted so many days after their end, with all that belongs to them; 0 keeps them for good. */
  MISSION_RETENTION_DAYS: Type.Integer({ minimum: 0, maximum: 36_500, default: 0 }),
})
export type OrchestratorConfig = Readonly<Static<typeof OrchestratorConfig>>

/** Throws one ConfigError that names every bad variable and prints no value. `exampleValues` are those of `.env.example`. */
export const readConfig = (env: Env, exampleValues: Env = {}): OrchestratorConfig =>
  loadConfig(OrchestratorConfig, env, { exactlyOne: [['JWT_SECRET', 'JWT_JWKS_URL']], exampleValues })
