import { LIFECYCLE } from '@hypercode/contracts'
import type { Lifecycle } from '@hypercode/contracts'
import { canMove, isTerminal } from '@hypercode/base-agent/lifecycle'
import { sql } from 'kysely'
import { HEALTH_BEST_FIRST } from '../domain/health.ts'

/** Lifecycles that an instance never leaves by itself, as the lifecycle table says. */
export const GONE: readonly Lifecycle[] = LIFECYCLE.filter(isTerminal)

/** Lifecycles that may end as reaped. */
export const REAPABLE: readonly Lifecycle[] = LIFECYCLE.filter((lifecycle) => canMove(lifecycle, 'reaped'))

/** The condition of the partial index on live instances, word for word: with parameters the planner would not see that it fits. */
export const isLive = sql<boolean>`i.lifecycle not in ('stopped', 'reaped', 'failed')`

/** The best health among the live instances of agent `a`. */
export const healthOfAgent = sql<(typeof HEALTH_BEST_FIRST)[number]>`coalesce((
  select i.health from agent_instances i where i.agent_id = a.id and ${isLive}
  order by array_position(${[...HEALTH_BEST_FIRST]}::text[], i.health) limit 1), 'unknown')`
