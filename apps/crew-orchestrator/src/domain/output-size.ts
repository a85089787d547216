import type { TaskError } from '@hypercode/contracts'
import type { MissionFacts } from './facts.ts'

/**
 * Most characters of the outputs of a mission's tasks together. A forEach task gathers those of its elements, and the mission those of its
 * last tasks: whoever ends the last one has all of them in memory.
 */
export const OUTPUT_CHARS_MAX = 32 * 1024 * 1024

/** Why the mission has no room for an output of so many characters; undefined when it has. */
export function outputSizeFault(mission: MissionFacts, chars: number): TaskError | undefined {
  if (mission.outputChars + chars <= OUTPUT_CHARS_MAX) return undefined
  return {
    code: 'output_too_large',
    message: `with these ${chars} the outputs of the mission would have more than ${OUTPUT_CHARS_MAX} characters; store what is large as an artifact`,
  }
}
