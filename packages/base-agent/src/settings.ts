import type { Logger, Metrics } from '@hypercode/telemetry'

/** How an agent reaches its platform and what it may take. */
export interface AgentSettings {
  /** Where the gateway is, `http://127.0.0.1:7000`. */
  readonly url: string
  readonly clientId: string
  readonly clientSecret: string
  /** Tells processes apart that share one client; each needs its own, since one identity is one instance. */
  readonly instance?: string
  /** Tasks at once; the number of the definition when absent. */
  readonly slots?: number
  /** How long a drain waits for attempts before it stops them; default 10 s. */
  readonly drainMs?: number
  /** How long one poll for work waits at the platform; default 20 s, at most 30 s. */
  readonly claimWaitMs?: number
  /** Longest time between two beats while attempts are in flight, since cancels come with them; default 900 ms. */
  readonly busyHeartbeatMs?: number
  /** A logger of your own; default: one that writes warnings and worse to stdout. */
  readonly logger?: Logger
  readonly metrics?: Metrics
}
