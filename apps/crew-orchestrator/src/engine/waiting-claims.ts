/** What a claim desk knows of the claims that wait there. */
import type { ClaimedTask } from '@hypercode/contracts'
import type { Hand } from '../domain/hand-over.ts'
import type { LeaseAsk } from '../store/lease.ts'

export interface ClaimOrder extends LeaseAsk {
  tenantId: string
  instanceId: string
  skills: readonly string[]
  waitMs: number
  /** Aborts when the caller is gone or the service drains. */
  signal: AbortSignal
}

export interface Waiter extends ClaimOrder {
  group: Group
  /** Whose claim it is. */
  instance: string
  settle: (result: ClaimedTask[] | Error) => void
  /** Ends the wait, after the answer of a statement that is on its way. */
  giveUp: () => void
  /** A statement is on its way that may lease tasks to it; only its answer may end the wait. */
  inFlight: boolean
  /** A statement has looked for work for it. */
  isAsked: boolean
  /** Its time was up, or its caller gone, while a statement was on its way or before one had looked. */
  overdue: boolean
}

export interface Group {
  key: string
  tenantId: string
  skills: readonly string[]
  waiters: Set<Waiter>
  running: boolean
  again: boolean
  /** Somebody told of work since the last statement began. */
  isSure: boolean
  /** The last statement found nothing more, and nobody has told of work since. */
  isDrained: boolean
  timer: NodeJS.Timeout | undefined
  /** When it polls at the latest, by the monotonic clock. */
  pollAtMs: number
}

export interface Loan {
  instance: string
  hand: Hand
  /** The claim that was lent, and those that repeat it. */
  waiters: Waiter[]
}

export const isAtRest = ({ isDrained, running }: Group): boolean => isDrained && !running

/** As many as one statement serves, those first whose time is up: who waits behind them waits on. */
export const firstOf = (waiters: readonly Waiter[], max: number): readonly Waiter[] =>
  waiters.length <= max ? waiters : waiters.toSorted((a, b) => Number(b.overdue) - Number(a.overdue)).slice(0, max)

export const instanceOf = ({ tenantId, subject }: ClaimOrder): string => `${tenantId} ${subject}`

export const isRepeat = (order: ClaimOrder, { claimId, incarnation }: Hand): boolean =>
  order.claimId === claimId && order.incarnation === incarnation
