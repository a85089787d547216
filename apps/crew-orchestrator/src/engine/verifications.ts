/** What the tasks that verify others, and these, have to do with each other. The missions of the ledger are locked. */
import type { Trx } from '@hypercode/db'
import type { TaskFacts } from '../domain/facts.ts'
import { move } from '../domain/ledger.ts'
import type { Ledger } from '../domain/ledger.ts'
import { isTerminal } from '../domain/states.ts'
import { endRound, undecidedOf, verdictOf } from '../domain/verification.ts'
import { enter } from '../store/load.ts'
import { lockReviewers, lockVerifying } from '../store/verifications.ts'

/** Tasks that verified others and have ended decide about these. */
export async function hearReviewers(trx: Trx, ledger: Ledger, news: readonly TaskFacts[]): Promise<void> {
  const reviewers = new Map(
    news.flatMap((task) =>
      task.policy?.verifies === undefined || task.parentId === null ? [] : [[task.parentId, task] as const],
    ),
  )
  if (reviewers.size === 0) return
  for (const row of await lockVerifying(trx, [...reviewers.keys()])) {
    const [task] = enter(ledger, [row]) as [TaskFacts]
    const reviewer = reviewers.get(task.id) as TaskFacts
    if (task.state !== 'verifying') continue
    endRound(ledger, task, reviewer.policy?.verifies as number, verdictOf(reviewer), row.output)
  }
}

/** Tasks that verify what is not verified any more are canceled; one that runs is fenced. */
export async function withdrawReviewers(trx: Trx, ledger: Ledger): Promise<void> {
  const left = undecidedOf(ledger).filter((id) => !ledger.recalled.has(id))
  if (left.length === 0) return
  for (const id of left) ledger.recalled.add(id)
  for (const reviewer of enter(ledger, await lockReviewers(trx, left))) {
    if (isTerminal(reviewer.state)) continue
    if (reviewer.state === 'executing') {
      const { id: taskId, attempt } = reviewer
      ledger.endedAttempts.push({ taskId, attempt, outcome: 'canceled', error: null, outputHash: null })
    }
    move(ledger, reviewer, 'canceled', { reason: 'what it verifies has ended without it' })
  }
}
