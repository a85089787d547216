import type { MissionFacts } from './facts.ts'
import { ReferenceError } from './references.ts'
import type { Spend } from './references.ts'

/** Most characters that the inputs which are filled in of a mission's tasks may have in one transaction. */
export const FILLED_CHARS_MAX = 16 * 1024 * 1024

/** What `${mission.…}` may look up; the error, in compensations alone. */
export const missionScope = ({
  id,
  tenantId,
  crew,
  correlationId,
  input,
  error,
}: MissionFacts): Record<string, unknown> => ({
  id,
  tenantId,
  crew,
  correlationId,
  input: input ?? null,
  error,
})

/** Counts what is filled in for the mission, and throws a ReferenceError when it becomes too much. */
export const spendOf =
  (mission: MissionFacts): Spend =>
  (chars) => {
    mission.filledChars += chars
    if (mission.filledChars > FILLED_CHARS_MAX)
      throw new ReferenceError(`the inputs have more than ${FILLED_CHARS_MAX} characters together`)
  }
