import { parseClaimSkill } from '@hypercode/contracts'
import type { ClaimedTask } from '@hypercode/contracts'
import { handOver } from '../domain/hand-over.ts'
import type { Hand, HandOver } from '../domain/hand-over.ts'
import { missionOf } from '../domain/ledger.ts'
import type { Ledger } from '../domain/ledger.ts'
import type { TaskFacts } from '../domain/facts.ts'
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
  let handed: { ledger: Ledger; hand: Hand; task: TaskFacts }[] = []
  const giveBack = (): void => {
    for (const hand of borrowed) desk.giveBack(hand, [])
    borrowed = []
    handed = []
  }
  return {
    handOver(ledgers) {
      giveBack()
      const over = handOver(ledgers, leaseMs, (tenantId, skills) => {
        const hand = desk.lend(tenantId, skills)
        if (hand !== undefined) borrowed.push(hand)
        return hand
      })
      for (const ledger of ledgers) {
        for (const task of [...ledger.added, ...ledger.changed]) {
          const hand = over.handOf.get(task)
          if (hand !== undefined) handed.push({ ledger, hand, task })
        }
      }
      return over
    },
    end(isHanded) {
      const given = Map.groupBy(
        handed.filter(({ task }) => isHanded(task)),
        ({ hand }) => hand,
      )
      const answers = Array.from(given, ([hand, tasks]) => {
        const claimed = tasks.map(({ ledger, task }) => toClaimed(ledger, task, leaseMs))
        desk.giveBack(hand, claimed)
        return claimed
      })
      giveBack()
      return answers.flat()
    },
  }
}

/** O1 of `domain/hand-over`: it is a first attempt, so there is neither an error nor a journal. */
function toClaimed(ledger: Ledger, task: TaskFacts, leaseMs: number): ClaimedTask {
  const mission = missionOf(ledger, task)
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
