/**
 * What a statement that hands tasks over leaves in the database, as the process that sent it knows it without a look: the end of such a
 * task can be decided on that, and holds if nothing was written to its mission meanwhile.
 *
 * Only the one task of a mission is remembered: nothing waits for its end, so that nothing else is to be read or locked. Nor one
 * whose output is verified: its rounds are written, too.
 */
import type { MissionFacts, TaskFacts } from './facts.ts'
import type { HandOver } from './hand-over.ts'
import { missionOf } from './ledger.ts'
import type { Ledger } from './ledger.ts'

export interface Remembered {
  readonly mission: MissionFacts
  readonly task: TaskFacts
}

/** Of the missions that this ledger stores, as they are when all that was to be handed over was. */
export function remember(ledger: Ledger, { handOf, eventsOf }: HandOver): Remembered[] {
  return [...ledger.added].flatMap((task) => {
    const mission = missionOf(ledger, task)
    if (!handOf.has(task) || mission.totalTasks !== 1 || task.policy?.verify !== undefined) return []
    return [
      {
        mission: {
          ...mission,
          state: 'running',
          input: undefined,
          queuedTasks: 0,
          filledChars: 0,
          eventSeq: mission.eventSeq + (eventsOf.get(mission.id) ?? 0),
        },
        task: { ...task, state: 'executing', attempt: task.attempt + 1, input: undefined, delayMs: undefined },
      },
    ]
  })
}
