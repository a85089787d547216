/** What people do to single tasks. Each answers why it cannot be done, or undefined when it was. */
import type { TaskFacts } from './facts.ts'
import { NOTHING_KNOWN, goOn } from './go-on.ts'
import type { GoOnFacts } from './go-on.ts'
import { move } from './ledger.ts'
import type { Ledger } from './ledger.ts'
import { isTerminal } from './states.ts'

export type TaskOperation = 'cancel' | 'retry' | 'skip'

/** `facts` are of a paused task that is to be tried again. */
export function operate(
  ledger: Ledger,
  task: TaskFacts,
  operation: TaskOperation,
  reason: string,
  facts: GoOnFacts = NOTHING_KNOWN,
): string | undefined {
  if (isTerminal(task.state)) return `the task is ${task.state}`
  if (operation === 'retry') return retry(ledger, task, reason, facts)
  // The elements of a forEach are tasks of their own, and some of them may run.
  if (task.state === 'waiting' && task.blockedBy > 0) return 'its elements run; step in at those'
  if (operation === 'cancel') return cancel(ledger, task, reason)
  if (task.state === 'executing' || task.state === 'verifying') return `the task is ${task.state}; cancel it instead`
  // Left out is as good as done: what went wrong before does not count any more.
  task.error = null
  move(ledger, task, 'skipped', { reason })
  return undefined
}

/** An attempt that runs is over for us: nothing that it writes is taken any more. */
function cancel(ledger: Ledger, task: TaskFacts, reason: string): undefined {
  if (task.state === 'executing') {
    const { id: taskId, attempt } = task
    ledger.endedAttempts.push({ taskId, attempt, outcome: 'canceled', error: null, outputHash: null })
  }
  move(ledger, task, 'canceled', { reason })
}

function retry(ledger: Ledger, task: TaskFacts, reason: string, facts: GoOnFacts): string | undefined {
  if (task.state === 'paused') return goOn(ledger, task, reason, facts)
  if (task.state !== 'scheduled') return `the task is ${task.state}`
  move(ledger, task, 'queued', { reason })
  return undefined
}
