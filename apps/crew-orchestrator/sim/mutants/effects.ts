/** Faults in what running attempts write: effects and steps. */
import { edit } from './edit.ts'
import type { Mutant } from './edit.ts'

export const EFFECT_MUTANTS: readonly Mutant[] = [
  {
    name: 'effect-key-with-attempt',
    about: 'every attempt has effects of its own',
    edits: [
      edit(
        'engine/put-effect.ts',
        `(engine, claim, name, words)

/** F1`,
        `(engine, claim, name + '#' + claim.attempt, words)

/** F1`,
      ),
    ],
  },
  {
    name: 'callee-key-with-attempt',
    about: 'the ledger has one effect for all attempts, and the callee is given another key by each',
    edits: [
      edit('store/effects.ts', 'key: `${row.taskId}:${row.name}`', 'key: `${row.taskId}:${row.name}:${Math.random()}`'),
    ],
  },
  {
    name: 'effect-repeated',
    about: 'an effect that must not be repeated is',
    edits: [
      edit(
        'domain/effects.ts',
        `known.state === 'intent' && known.idempotent ? 'again'`,
        `known.state === 'intent' ? 'again'`,
      ),
      edit('store/effects.ts', `e.state = 'intent' and e.idempotent returning`, `e.state = 'intent' returning`),
    ],
  },
  {
    name: 'effect-not-taken-over',
    about: 'an attempt that repeats an effect does not say so in the ledger',
    edits: [
      edit(
        'engine/put-effect.ts',
        `if (decision === 'again') took(engine, await takeOverIntent(urgentDb, claim, name))`,
        `void takeOverIntent`,
      ),
    ],
  },
  {
    name: 'write-without-incarnation',
    about: 'a process that was replaced writes on',
    edits: [
      edit(
        'store/fenced-write.ts',
        'and i.subject = ${claim.subject} and i.incarnation = ${claim.incarnation} and t.lease_incarnation = i.incarnation',
        'and i.subject = ${claim.subject}',
      ),
    ],
  },
  {
    name: 'write-without-attempt',
    about: 'an attempt that lost its task writes on when the same process got it again',
    edits: [edit('store/fenced-write.ts', `and t.attempt = \${claim.attempt}`, ``)],
  },
  {
    name: 'journal-not-handed-on',
    about: 'the second attempt is not told of the steps of the first',
    edits: [edit('store/lease.ts', `.filter((task) => task.attempt > 1)`, `.filter((task) => task.attempt > 2)`)],
  },
]
