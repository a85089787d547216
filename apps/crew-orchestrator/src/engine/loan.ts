import { parseClaimSkill } from '@hypercode/contracts'
import type { ClaimedTask } from '@hypercode/contracts'
import { NOTHING_HANDED, handOver } from '../domain/hand-over.ts'
import type { Hand, HandOver } from '../domain/hand-over.ts'
import type { Ledger } from '../domain/ledger.ts'
import type { MissionFacts, TaskFacts } from '../domain/facts.ts'
import type { ClaimDesk } from './claim-desk.ts'

/** The claims that a statement has borrowed from the desk, to answer them with what it queues. */
export interface Loan {
  /** Borrows for the tasks that these ledgers queue. Whoever is tried once more begins anew. */
  handOver: (ledgers: readonly Ledger[]) => HandOver
  /** Answers the claims with the tasks that were stored in their hands, and lets the others wait on. */
  end(isHanded: (task: TaskFacts) => boolean): ClaimedTask[]
}

export function openLoan(desk: Pick<ClaimDesk, 'lend' | 'giveBack'>, leaseMs: number): Loan {
  let borrowed: Hand[] = []
  let over = NOTHING_HANDED
  let missions = new Map<string, MissionFacts>()
  const giveBack = (): void => {
    for (const hand of borrowed) desk.giveBack(hand, [])
    borrowed = []
    over = NOTHING_HANDED
  }
  return {
    handOver(ledgers) {
      giveBack()
      over = handOver(ledgers, leaseMs, (tenantId, skills) => {
        const hand = desk.lend(tenantId, skills)
        if (hand !== undefined) borrowed.push(hand)
        return hand
      })
      missions = new Map(ledgers.flatMap((ledger) => [...ledger.missions]))
      return over
    },
    end(isHanded) {
      const answers = Array.from(over.hands, ([hand, tasks]) => {
        const claimed = tasks
          .filter(isHanded)
          // As a lease tells them, also to who repeats his claim.
          .toSorted((a, b) => (a.id < b.id ? -1 : 1))
          .map((task) => toClaimed(missions.get(task.missionId) as MissionFacts, task, leaseMs))
        desk.giveBack(hand, claimed)
        return claimed
      })
      giveBack()
      return answers.flat()
    },
  }
}

/** O1 of `domain/hand-over`: it is a first attempt, so there is neither an error nor a journal. */
function toClaimed(mission: MissionFacts, task: TaskFacts, leaseMs: number): ClaimedTask {
  const { attemptMs } = task.timeouts
  return {
    taskId: task.id,
    missionId: task.missionId,
    tenantId: task.tenantId,
    crew: mission.crew,
    key: task.key,
    skill: parseClaimSkill(task.queue).skill,
    attempt: task.attempt + 1,
    maxAttempts: task.maxAttempts,
    input: task.input ?? null,
    leaseMs,
    ...(attemptMs === null ? {} : { attemptTimeoutMs: attemptMs }),
    correlationId: mission.correlationId,
    ...(mission.traceparent === null ? {} : { traceparent: mission.traceparent }),
    steps: [],
  }
}
