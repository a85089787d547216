/** Faults in what passes outputs. */
import { edit } from './edit.ts'
import type { Mutant } from './edit.ts'

export const VERIFICATION_MUTANTS: readonly Mutant[] = [
  {
    name: 'refused-passes',
    about: 'an output that was refused completes its task all the same',
    edits: [
      edit(
        'domain/verification.ts',
        `const isThrough = passed && tooLarge === undefined`,
        `const isThrough = tooLarge === undefined`,
      ),
    ],
  },
  {
    name: 'refusal-costs-attempts',
    about: 'a refused output costs one of the attempts',
    edits: [edit('domain/verification.ts', `  task.maxAttempts += 1\n`, ``)],
  },
  {
    name: 'verdict-unheard',
    about: 'nobody hears the task that verifies',
    edits: [edit('engine/settle.ts', `    await hearReviewers(trx, ledger, news)\n`, ``)],
  },
  {
    name: 'round-left-open',
    about: 'a task that is canceled while it is verified leaves its round open',
    edits: [edit('domain/ledger.ts', `    ledger.unverified.add(task.id)\n`, ``)],
  },
  {
    name: 'round-counted-anew',
    about: 'every output is the first that is verified',
    edits: [edit('engine/complete.ts', `round: (rounds ?? 0) + 1`, `round: 1`)],
  },
]
