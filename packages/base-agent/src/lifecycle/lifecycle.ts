import type { Lifecycle } from '@hypercode/contracts'

/**
 * The one life of an agent instance, from one registration (incarnation) to the next. A registration begins a new life and
 * is not a move: see `canRegister`. Being busy is no state, it follows from the slots in use; health is a field of its own.
 */
export const LIFECYCLE_MOVES = {
  /** A process is being made for it. */
  provisioning: ['warming', 'quarantined', 'failed'],
  /** The process runs and prepares itself, or waits as a spare; reaped when its beats end: it has no work that somebody waits for. */
  warming: ['ready', 'draining', 'reaped', 'quarantined', 'failed'],
  /** Takes work; also while all its slots are busy. */
  ready: ['hibernating', 'unhealthy', 'draining', 'quarantined'],
  /** Put to sleep to save memory; work wakes it. */
  hibernating: ['ready', 'draining'],
  /** Its beats stay away. It comes back by itself, is replaced, or is reaped. */
  unhealthy: ['ready', 'provisioning', 'draining', 'reaped', 'quarantined', 'failed'],
  /** Takes no new work and finishes what it has; reaped when its beats end before it is done. */
  draining: ['stopped', 'reaped'],
  /** Left in good order. */
  stopped: [],
  /** Gone without a word; its leases have run out. */
  reaped: [],
  /** Crashed too often in too short a time; only a person lets it go on. */
  quarantined: ['provisioning', 'draining'],
  /** Could not be started. */
  failed: [],
} as const satisfies Readonly<Record<Lifecycle, readonly Lifecycle[]>>

/** What an agent that starts itself is from its registration on. */
export const REGISTERED_AS: Lifecycle = 'ready'

export function canMove(from: Lifecycle, to: Lifecycle): boolean {
  return nextStates(from).includes(to)
}

/** @throws {MoveRefused} when the table does not know the move; staying in a state is not a move */
export function assertMove(from: Lifecycle, to: Lifecycle): void {
  if (!canMove(from, to)) throw new MoveRefused('lifecycle', from, to, nextStates(from))
}

export const nextStates = (from: Lifecycle): readonly Lifecycle[] => LIFECYCLE_MOVES[from]

/** A state that is never left; only a new registration begins again. */
export const isTerminal = (state: Lifecycle): boolean => nextStates(state).length === 0

/** May the instance be given new work? */
export const takesWork = (state: Lifecycle): boolean => state === 'ready'

/** May the instance ask for work? One that is warming gets none, and is first in line the moment it is made ready. */
export const asksForWork = (state: Lifecycle): boolean => state === 'ready' || state === 'warming'

/** May the instance begin a new life? Everybody may but a quarantined one, which a person has to release first. */
export const canRegister = (before: Lifecycle | undefined): boolean => before !== 'quarantined'

/** A move that the table does not know. It is refused, never carried out in part. */
export class MoveRefused extends Error {
  override readonly name = 'MoveRefused'
  readonly from: string
  readonly to: string

  constructor(machine: 'lifecycle' | 'health', from: string, to: string, allowed: readonly string[]) {
    const ways = allowed.length === 0 ? 'it is never left' : `only to ${allowed.join(', ')}`
    super(`${machine} cannot move from ${from} to ${to}: ${ways}`)
    this.from = from
    this.to = to
  }
}
