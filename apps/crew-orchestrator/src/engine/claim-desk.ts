/**
 * Where long polls for work wait. Claims of instances with the same skills form a group; one statement at a time serves a whole group,
 * and what arrives or rings meanwhile makes it run once more. So an idle desk answers at once and a busy one batches by itself.
 *
 * C1 A claim waits until it gets tasks, its time is up, its caller has gone, or it is fenced. However short its time is, it is looked for once.
 * C2 Liveness never hangs on a doorbell: every group also polls, jittered, at least once in `pollMs`.
 * C3 No instance takes the places of others: only so many of its claims wait.
 * C4 A claim that waits may be lent to a statement that queues tasks, which then answers it, and with it its repeats. One claim of an
 *    instance is lent at a time, and none of a group that is being served, or for which there may be work already.
 * C5 An instance is served by one statement at a time: two would not see which slots the other one fills.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { ClaimedTask } from '@hypercode/contracts'
import type { Hand } from '../domain/hand-over.ts'
import type { QueueRef } from '@hypercode/events'
import type { LeaseAsk, Leased } from '../store/lease.ts'
import { firstOf, instanceOf, isAtRest, isRepeat } from './waiting-claims.ts'
import type { ClaimOrder, Group, Loan, Waiter } from './waiting-claims.ts'

export interface ClaimDeskOptions {
  /** Serves a group. `isSure` says that work was queued; otherwise a cheap look comes first. */
  lease: (tenantId: string, skills: readonly string[], asks: readonly LeaseAsk[], isSure: boolean) => Promise<Leased>
  pollMs: number
  /** Most claims that may wait in this process. */
  waitingMax: number
  onFull: () => Error
  /** For an instance of which too many claims wait already. */
  onTooMany: () => Error
  onFenced: () => Error
  /** Most claims that one statement serves. */
  asksMax?: number
}

export interface ClaimDesk {
  claim(order: ClaimOrder): Promise<ClaimedTask[]>
  /** Work was queued there: here, or as a doorbell tells. */
  wake(queues: readonly QueueRef[]): void
  /** Lends a waiting claim of a group with these skills, if one is at rest. C4 */
  lend(tenantId: string, skills: readonly string[]): Hand | undefined
  /** Answers a lent claim; without tasks it waits on. */
  giveBack(hand: Hand, tasks: readonly ClaimedTask[]): void
  readonly waiting: number
  stop(): void
}

const ASKS_MAX = 200
/** An agent needs one at a time, and a few more while answers are lost. */
const WAITING_OF_INSTANCE_MAX = 20
const CONTENDED_MS = 5
/**
 * A claim that comes to a drained group has time until it looks for work: mostly it is lent before, and a look costs Postgres 0.3 ms and
 * this process as much.
 */
const LOOK_AFTER_MS = 10

export function createClaimDesk(options: ClaimDeskOptions): ClaimDesk {
  const { asksMax = ASKS_MAX } = options
  const groups = new Map<string, Group>()
  let waiting = 0
  const waitingOf = new Map<string, number>()
  const loans = new Map<Hand, Loan>()
  /** By instance, all of them. */
  const loanOf = new Map<string, Loan>()
  const servedIn = new Map<string, Group>()
  const leftOut = new Map<string, Set<Group>>()

  const count = (instance: string, by: 1 | -1): void => {
    waiting += by
    const now = (waitingOf.get(instance) ?? 0) + by
    if (now === 0) waitingOf.delete(instance)
    else waitingOf.set(instance, now)
  }

  const groupOf = (order: ClaimOrder): Group => {
    const skills = [...order.skills].sort()
    const key = `${order.tenantId} ${skills.join(' ')}`
    const group = groups.get(key) ?? {
      key,
      tenantId: order.tenantId,
      skills,
      waiters: new Set(),
      running: false,
      again: false,
      isSure: false,
      isDrained: false,
      timer: undefined,
      pollAtMs: 0,
    }
    groups.set(key, group)
    return group
  }

  const claim = async (order: ClaimOrder): Promise<ClaimedTask[]> => {
    if (waiting >= options.waitingMax) throw options.onFull()
    const instance = instanceOf(order)
    if ((waitingOf.get(instance) ?? 0) >= WAITING_OF_INSTANCE_MAX) throw options.onTooMany()
    const group = groupOf(order)
    return await new Promise((resolve, reject) => {
      const giveUp = (): void => {
        if (waiter.inFlight) waiter.overdue = true
        else waiter.settle([])
      }
      const timer = setTimeout(() => {
        if (waiter.inFlight || waiter.isAsked) return giveUp()
        waiter.overdue = true
        serve(group)
      }, order.waitMs)
      const waiter: Waiter = {
        ...order,
        group,
        instance,
        inFlight: false,
        isAsked: false,
        overdue: false,
        giveUp,
        settle(result) {
          if (!group.waiters.delete(waiter)) return
          count(instance, -1)
          clearTimeout(timer)
          order.signal.removeEventListener('abort', giveUp)
          if (result instanceof Error) reject(result)
          else resolve(result)
        },
      }
      count(instance, 1)
      group.waiters.add(waiter)
      order.signal.addEventListener('abort', giveUp)
      const loan = loanOf.get(instance)
      if (order.signal.aborted) giveUp()
      else if (loan !== undefined && isRepeat(order, loan.hand)) {
        waiter.inFlight = true
        loan.waiters.push(waiter)
      } else if (isAtRest(group) && order.waitMs > LOOK_AFTER_MS) {
        // However many claims come and are lent, the poll stays where it is. C2
        serveAfter(group, Math.min(LOOK_AFTER_MS, Math.max(0, group.pollAtMs - performance.now())))
      } else serve(group)
    })
  }

  /** Runs the statement for a group, or notes that it must run again. */
  const serve = (group: Group): void => {
    group.again = true
    if (!group.running) run(group).catch((error: unknown) => fail(group, error))
  }

  /** Unless it is served sooner. */
  const serveAfter = (group: Group, delayMs: number): void => {
    if (group.running) return
    clearTimeout(group.timer)
    group.timer = setTimeout(() => {
      if (group.waiters.size === 0) groups.delete(group.key)
      else serve(group)
    }, delayMs)
    group.timer.unref()
  }

  const run = async (group: Group): Promise<void> => {
    group.running = true
    clearTimeout(group.timer)
    while (group.again) {
      const batch = firstOf([...group.waiters].filter(mayServe), asksMax)
      if (batch.length === 0) {
        // All of them are lent: who comes next looks at once.
        group.isDrained = false
        break
      }
      const { isSure } = group
      group.again = false
      group.isSure = false
      for (const waiter of batch) {
        Object.assign(waiter, { inFlight: true, isAsked: true })
        servedIn.set(waiter.instance, group)
      }
      try {
        const leased = await options.lease(group.tenantId, group.skills, batch, isSure)
        batch.forEach((waiter, index) => answer(group, waiter, leased.answers[index] as Leased['answers'][number]))
        const gave = leased.answers.some((one) => one.kind === 'tasks' && one.tasks.length > 0)
        group.isDrained = !gave && !leased.contended && !group.isSure
        // Where a whole batch found work there may be more, for those who wait behind it too.
        if (leased.contended || (gave && batch.length === asksMax)) {
          group.again = true
          group.isSure = true
        }
        // Who holds the rows that we saw is about to commit: no use in asking without a breath.
        if (leased.contended && !gave) await sleep(CONTENDED_MS)
      } catch (error) {
        // Postgres is away, say: who waited hears of it, and who comes next is served again.
        group.isDrained = false
        for (const waiter of batch) waiter.settle(asError(error))
      } finally {
        for (const { instance } of batch) letIn(instance)
      }
    }
    group.running = false
    // What is known of it serves the claims that come next.
    const pollMs = options.pollMs * (0.5 + Math.random() / 2)
    group.pollAtMs = performance.now() + pollMs
    serveAfter(group, pollMs)
  }

  const isFree = ({ inFlight, instance, group }: Waiter): boolean =>
    !inFlight && !loanOf.has(instance) && (servedIn.get(instance) ?? group) === group

  /** C5. What is left out is served when the other one is over. */
  const mayServe = (waiter: Waiter): boolean => {
    const is = isFree(waiter)
    if (!is && !waiter.inFlight) {
      const groupsOf = leftOut.get(waiter.instance) ?? new Set()
      leftOut.set(waiter.instance, groupsOf.add(waiter.group))
    }
    return is
  }

  const letIn = (instance: string): void => {
    servedIn.delete(instance)
    const waiting = leftOut.get(instance) ?? []
    leftOut.delete(instance)
    for (const group of waiting) serve(group)
  }

  const fail = (group: Group, error: unknown): void => {
    group.running = false
    for (const waiter of [...group.waiters]) waiter.settle(asError(error))
  }

  const answer = (group: Group, waiter: Waiter, result: Leased['answers'][number]): void => {
    waiter.inFlight = false
    if (result.kind === 'fenced') waiter.settle(options.onFenced())
    else if (result.tasks.length > 0) waiter.settle(result.tasks)
    else if (waiter.overdue || waiter.waitMs === 0) waiter.settle([])
    // Beyond the batch size the rest of the group would starve behind claims that find nothing: turn it round.
    else if (group.waiters.delete(waiter)) group.waiters.add(waiter)
  }

  return {
    claim,
    wake(queues) {
      for (const group of groups.values()) {
        if (!queues.some((ref) => ref.tenantId === group.tenantId && group.skills.includes(ref.queue))) continue
        group.isSure = true
        group.isDrained = false
        if (group.waiters.size > 0) serve(group)
      }
    },
    lend(tenantId, skills) {
      for (const group of groups.values()) {
        if (!isAtRest(group) || group.tenantId !== tenantId || !skills.every((skill) => group.skills.includes(skill)))
          continue
        for (const waiter of group.waiters) {
          if (!isFree(waiter)) continue
          waiter.inFlight = true
          const { claimId, instanceId: owner, instance, incarnation, max } = waiter
          const hand = { tenantId, claimId, owner, incarnation, max, skills: new Set(group.skills) }
          const loan = { instance, hand, waiters: [waiter] }
          loans.set(hand, loan)
          loanOf.set(instance, loan)
          return hand
        }
      }
      return undefined
    },
    giveBack(hand, tasks) {
      const loan = loans.get(hand)
      if (loan === undefined) return
      const { instance } = loan
      loans.delete(hand)
      loanOf.delete(instance)
      for (const waiter of loan.waiters) answer(waiter.group, waiter, { kind: 'tasks', tasks: [...tasks] })
      // What waits on may have slept through a bell.
      const left = loan.waiters.filter((waiter) => waiter.group.waiters.has(waiter))
      for (const { group } of left) serve(group)
      letIn(instance)
      // So may other claims of the instance; and one that repeats this one and was there before finds its tasks only now.
      if ((waitingOf.get(instance) ?? 0) === left.length) return
      for (const group of groups.values()) if ([...group.waiters].some((one) => one.instance === instance)) serve(group)
    },
    get waiting() {
      return waiting
    },
    stop() {
      for (const group of groups.values()) {
        clearTimeout(group.timer)
        for (const waiter of [...group.waiters]) waiter.giveUp()
      }
      groups.clear()
    },
  }
}

const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)))
