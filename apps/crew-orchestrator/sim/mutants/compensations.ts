import { edit } from './edit.ts'
import type { Mutant } from './edit.ts'

export const COMPENSATION_MUTANTS: readonly Mutant[] = [
  {
    name: 'undone-in-order',
    about: 'what was completed first is undone first',
    edits: [edit('domain/compensate.ts', `.toReversed()`, ``)],
  },
  {
    name: 'last-completion-forgotten',
    about: 'what is completed in the transaction in which a mission begins to undo is not undone',
    edits: [
      edit(
        'store/compensations.ts',
        `type === 'task.completed' && taskId !== null`,
        `type === 'task.canceled' && taskId !== null`,
      ),
    ],
  },
  {
    name: 'compensation-canceled',
    about: 'a mission that is canceled cancels what undoes its work',
    edits: [edit('domain/states.ts', `canceling && !compensating`, `canceling`)],
  },
  {
    name: 'compensation-unclaimable',
    about: 'nothing of a canceled mission is claimed, not even what undoes its work',
    edits: [
      edit(
        'store/lease.ts',
        `(m.cancel_requested_at is null or m.compensating_at is not null)`,
        `m.cancel_requested_at is null`,
      ),
    ],
  },
]
