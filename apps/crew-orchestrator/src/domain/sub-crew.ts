import type { MissionState, TaskError } from '@hypercode/contracts'
import { NOT_UNDONE } from './compensate.ts'
import { fail } from './exhaust.ts'
import type { TaskFacts } from './facts.ts'
import { missionOf, move } from './ledger.ts'
import type { Ledger } from './ledger.ts'
import { outputSizeFault } from './output-size.ts'
import { isBeingCanceled } from './states.ts'

/** How many crews may stand one within the other, and missions that one of them may begin in all. */
export const CREW_DEPTH_MAX = 5
export const CREWS_WITHIN_MAX = 1000

/** The mission that a task has begun, at its end. */
export interface ChildEnd {
  id: string
  crew: string
  state: MissionState
  output: unknown
  error: TaskError | null
}

/** Ends the task that waits for a mission as that mission has ended. Its output is the output of the mission. */
export function endWithChild(ledger: Ledger, task: TaskFacts, child: ChildEnd): void {
  // A cancel that went on to the child ends its task as it ends any other, unless what the child has done could not be undone.
  if (isBeingCanceled(missionOf(ledger, task)) && child.state !== 'completed' && child.error?.code !== NOT_UNDONE) {
    move(ledger, task, 'canceled', { reason: 'the mission is being canceled' })
    return
  }
  if (child.state !== 'completed') {
    failForCrew(ledger, task, {
      code: child.error?.code ?? 'crew_canceled',
      message: `mission ${child.id} of crew ${child.crew} ended ${child.state}${child.error === null ? '' : `: ${child.error.message}`}`,
    })
    return
  }
  const mission = missionOf(ledger, task)
  const chars = JSON.stringify(child.output ?? null).length
  const fault = outputSizeFault(mission, chars)
  if (fault !== undefined) {
    failForCrew(ledger, task, fault)
    return
  }
  mission.outputChars += chars
  move(ledger, task, 'completed', { output: child.output ?? null })
}

/** Fails a task whose crew cannot be run or did not succeed. Within the crew its tasks were tried again: only people can help. */
export function failForCrew(ledger: Ledger, task: TaskFacts, { code, message }: TaskError): void {
  fail(ledger, task, { code, message: message.slice(0, MESSAGE_MAX).toWellFormed() })
}

const MESSAGE_MAX = 8000
