/** Faults on the way from the outbox to the event stream. */
import type { Edit, Mutant } from './edit.ts'

const inPublisher = (find: string, replace: string): Edit => ({
  file: 'packages/events/src/publisher.ts',
  find,
  replace,
})

export const RELAY_MUTANTS: readonly Mutant[] = [
  {
    name: 'relay-marks-first',
    about: 'the relay takes rows out of the outbox before it has published them',
    edits: [
      inPublisher(
        `        await Promise.all(rows.map(send))
        await deleteSent(
          db,
          rows.map((row) => row.id),
        )
`,
        `        await deleteSent(
          db,
          rows.map((row) => row.id),
        )
        await Promise.all(rows.map(send))
`,
      ),
    ],
  },
  {
    name: 'publisher-forgets-first',
    about: 'a row is given up before the stream has taken it',
    edits: [
      inPublisher(
        `      await Promise.all(rows.map(send)) // pipelined into one write
      forgetSoon(rows)
`,
        `      forgetSoon(rows)
      await Promise.all(rows.map(send))
`,
      ),
    ],
  },
  {
    name: 'no-relay',
    about: 'nobody sends what the process that wrote it did not',
    edits: [inPublisher(`round < RELAY_ROUNDS_MAX`, `round < 0`)],
  },
]
