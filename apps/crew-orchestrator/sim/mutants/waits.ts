/** Faults in what waits for time, for signals and for people. */
import { edit } from './edit.ts'
import type { Mutant } from './edit.ts'

export const WAIT_MUTANTS: readonly Mutant[] = [
  {
    name: 'timer-early',
    about: 'a task that sleeps is woken after half the time',
    edits: [
      edit(
        'domain/suspend.ts',
        `move(ledger, task, 'waiting', { reason: reasonOf(wait), delayMs })`,
        `move(ledger, task, 'waiting', { reason: reasonOf(wait), delayMs: delayMs === null ? null : delayMs / 2 })`,
      ),
    ],
  },
  {
    name: 'denied-goes-on',
    about: 'a task that people denied begins when it is retried',
    edits: [edit('domain/go-on.ts', `policy?.approval !== undefined && approvedHash !== hashOf(input)`, `false`)],
  },
  {
    name: 'wait-over-twice',
    about: 'a signal ends a wait that is over already',
    edits: [edit('store/waits.ts', `and w.fired_at is null and t.state = 'waiting'`, ``)],
  },
  {
    name: 'quorum-short',
    about: 'one decision too few is enough',
    edits: [edit('engine/approvals.ts', `by.length >= approval.quorum`, `by.length + 1 >= approval.quorum`)],
  },
  {
    name: 'decided-twice',
    about: 'the same client may decide twice',
    edits: [edit('engine/approvals.ts', `if (approval.decided) throw`, `if (false) throw`)],
  },
  {
    name: 'stale-decision',
    about: 'a decision counts whatever its client was shown',
    edits: [edit('engine/approvals.ts', `if (approval.hash !== hash)`, `if (false)`)],
  },
  {
    name: 'silence-is-consent',
    about: 'what nobody has decided by its deadline is approved',
    edits: [
      edit('domain/close-approval.ts', `const approved = approval.onTimeout === 'approve'`, `const approved = true`),
    ],
  },
  {
    name: 'approval-outlives-task',
    about: 'the approval of a task that was canceled stays open',
    edits: [
      edit(
        'store/approvals.ts',
        `return [...unasked].filter((id) => !decided.has(id))`,
        `return [...unasked].filter((id) => decided.has(id))`,
      ),
    ],
  },
]
