import { edit } from './edit.ts'
import type { Mutant } from './edit.ts'

export const UNSEEN_MUTANTS: readonly Mutant[] = [
  {
    name: 'unseen-version-dropped',
    about: 'a report is decided on what was remembered, whatever was written to its mission since',
    edits: [edit('store/unchanged.ts', ` and m.version = \${FIRST_VERSION}::int`, ``)],
  },
  {
    name: 'unseen-fence-dropped',
    about: 'a report that is decided on what was remembered needs no fence',
    edits: [edit('store/unchanged.ts', `\${IS_HELD}`, `t.state = 'executing'`)],
  },
  {
    name: 'unseen-written-all-the-same',
    about: 'the end of a task is written although its mission has changed',
    edits: [
      edit(
        'store/save-ledger.ts',
        `updateTasks(ledger, NOTHING_HANDED, ONLY_UNCHANGED.and)`,
        `updateTasks(ledger, NOTHING_HANDED)`,
      ),
    ],
  },
  {
    name: 'remembered-with-others',
    about: 'a task that others wait for ends without telling them',
    edits: [edit('domain/remembered.ts', `mission.totalTasks !== 1`, `false`)],
  },
  {
    name: 'remembered-attempt',
    about: 'the attempt that ends is not the one that was handed over',
    edits: [edit('domain/remembered.ts', `attempt: task.attempt + 1`, `attempt: task.attempt`)],
  },
]
