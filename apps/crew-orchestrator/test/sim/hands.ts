import { newId } from '@hypercode/contracts'
import type { ClaimedTask } from '@hypercode/contracts'
import type { Hand } from '../../src/domain/hand-over.ts'
import { openLoan } from '../../src/engine/loan.ts'
import type { Loan } from '../../src/engine/loan.ts'
import type { Course } from './course.ts'

/** A claim that waits. */
export interface Waiting {
  /** Which of the agents claims, by its place in the course. */
  agent: number
  max: number
  /** Of a process that was replaced since. */
  isStale?: boolean
}

export interface WaitingClaims {
  handOver: Loan['handOver']
  /** Answers what each claim was given. */
  end(...how: Parameters<Loan['end']>): (readonly ClaimedTask[])[]
}

/** Lends claims as a desk does, one for each of `waiting`; what they are given counts as claimed in the course. */
export function waitingClaims(course: Course, waiting: readonly Waiting[], leaseMs: number): WaitingClaims {
  const { side, agents, claimed } = course
  const claims = waiting.map(({ agent, max, isStale = false }) => {
    const { id: owner, incarnation, skills } = agents[agent] as Course['agents'][number]
    const hand: Hand = {
      tenantId: side.tenantId,
      claimId: newId(),
      owner,
      incarnation: isStale ? incarnation - 1 : incarnation,
      skills: new Set(skills),
      max,
    }
    return { hand, agent, isLent: false, tasks: [] as readonly ClaimedTask[] }
  })
  const loan = openLoan(
    {
      lend(_, skills) {
        const claim = claims.find(({ isLent, hand }) => !isLent && skills.every((skill) => hand.skills.has(skill)))
        if (claim !== undefined) claim.isLent = true
        return claim?.hand
      },
      giveBack(hand, tasks) {
        const claim = claims.find((one) => one.hand === hand)
        if (claim?.isLent !== true) return
        claim.isLent = false
        claim.tasks = tasks
        const { agent } = claim
        const { claimId, incarnation } = hand
        for (const task of tasks) claimed.push({ task, claimId, agent, incarnation })
      },
    },
    leaseMs,
  )
  return {
    handOver: (ledgers) => loan.handOver(ledgers),
    end(isHanded) {
      loan.end(isHanded)
      return claims.map(({ tasks }) => tasks)
    },
  }
}
