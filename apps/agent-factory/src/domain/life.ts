/**
 * The moves of a factory instance. Each start is a life of its own in the sense of the lifecycle table, as each registration is one: when
 * a life has ended (`failed`, `stopped`, `reaped`) and the instance shall run on, the next start begins another at `provisioning`.
 * Everything else is a move of the table, or it is refused.
 */
import { assertMove, isTerminal } from '@hypercode/base-agent/lifecycle'
import type { Lifecycle } from '@hypercode/contracts'

/** Checks every step of the way and answers where it leads; no steps lead nowhere. @throws {MoveRefused} */
export function walk(from: Lifecycle, ...way: readonly Lifecycle[]): Lifecycle {
  return way.reduce((at, to) => {
    if (!(to === 'provisioning' && isTerminal(at))) assertMove(at, to)
    return to
  }, from)
}

/** Where a start leads: out of hibernation it is part of the same life. */
export function startLife(from: Lifecycle): Lifecycle {
  return from === 'provisioning' || from === 'hibernating' ? from : walk(from, 'provisioning')
}

/** Where it is after its process was lost and while it waits for another. */
export function afterCrash(from: Lifecycle): Lifecycle {
  if (from === 'ready') return walk(from, 'unhealthy')
  if (from === 'unhealthy' || isTerminal(from)) return from
  if (from === 'hibernating') return walk(from, 'draining', 'stopped')
  if (from === 'draining') return walk(from, 'stopped')
  return walk(from, 'failed')
}

/** Where it is when it has crashed too often. */
export function intoQuarantine(from: Lifecycle): Lifecycle {
  const at = from === 'hibernating' || isTerminal(from) ? walk(afterCrash(from), 'provisioning') : from
  return walk(at, 'quarantined')
}

/** Where it is when it is told to go and nothing of it runs. */
export function intoTheGround(from: Lifecycle): Lifecycle {
  if (isTerminal(from)) return from
  if (from === 'provisioning') return walk(from, 'failed')
  return from === 'draining' ? walk(from, 'stopped') : walk(from, 'draining', 'stopped')
}
