import { canMove, isTerminal } from '@hypercode/base-agent/lifecycle'
import type { Lifecycle } from '@hypercode/contracts'

/** May the instance be told to take no new work? */
export const canDrain = (lifecycle: Lifecycle): boolean => canMove(lifecycle, 'draining')

/**
 * May the instance be stopped? Everything leaves through `draining`, here without a stay; what has no way there (a process that is
 * still being made) cannot be stopped, what is gone is gone.
 */
export const canStop = (lifecycle: Lifecycle): boolean =>
  !isTerminal(lifecycle) && (canMove(lifecycle, 'stopped') || canDrain(lifecycle))
