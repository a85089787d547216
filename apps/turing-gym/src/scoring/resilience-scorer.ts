import { cloudEventType } from '@hypercode/contracts'
import type { MissionEventName } from '@hypercode/contracts'
import { ScoringFault } from './scorer.ts'
import type { Evidence, EvidenceEvent, ScorerOf } from './scorer.ts'
import { right, wrong } from './value-scorers.ts'

/**
 * Whether what was done to the sample lost or doubled anything, told by the events of its mission.
 * - R1: every step that an attempt recorded is in the journal, and the task that ended well ended with its output.
 * - R2: no step was recorded twice: an attempt after the fault went on where the one before was.
 * - R3: the task and the mission ended once.
 * A sample in which none of the declared faults took place shows nothing, and events with a gap are no evidence: both are no verdict.
 */
export const resilience: ScorerOf<'resilience'> = (evidence) => {
  if (evidence.faultsInjected.length === 0) throw new ScoringFault('none of the declared faults took place')
  assertWhole(evidence.events)
  const faults = [...lostResults(evidence), ...doubledSteps(evidence), ...ends(evidence)]
  const attempts = evidence.events.filter(is('task.claimed')).length
  const seen = `${evidence.faultsInjected.join(', ')}; ${attempts} attempts, ${evidence.steps.length} steps`
  return faults.length === 0 ? { ...right(), detail: seen } : wrong(`${faults.join('; ')} (${seen})`)
}

function assertWhole(events: readonly EvidenceEvent[]): void {
  if (events.length === 0) throw new ScoringFault('the mission has no events')
  for (const [index, { seq }] of events.entries()) {
    if (seq !== index + 1)
      throw new ScoringFault(`the events of the mission have a gap: event ${index + 1} is number ${seq}`)
  }
}

function lostResults({ outcome, output, steps, events }: Evidence): string[] {
  const journal = new Set(steps.map(({ name }) => name))
  const lost = events.filter(is('task.step.recorded')).flatMap(({ data }) => {
    const step = String(data['step'])
    return journal.has(step) ? [] : [`the result of the step "${step}" is lost`]
  })
  return outcome === 'completed' && output === undefined ? [...lost, 'the output of the task is lost'] : lost
}

function doubledSteps({ events }: Evidence): string[] {
  const recorded = Map.groupBy(events.filter(is('task.step.recorded')), ({ data }) =>
    JSON.stringify([data['key'], data['step']]),
  )
  return Array.from(recorded.values(), (of) => ({ step: String(of[0]?.data['step']), times: of.length }))
    .filter(({ times }) => times > 1)
    .map(({ step, times }) => `the step "${step}" ran ${times} times`)
}

const TASK_ENDS = ['task.completed', 'task.failed', 'task.rejected', 'task.canceled'] as const
const MISSION_ENDS = ['mission.completed', 'mission.failed', 'mission.canceled'] as const

function ends({ events }: Evidence): string[] {
  const endsOf = (names: readonly MissionEventName[]): number =>
    events.filter((event) => names.some((name) => is(name)(event))).length
  const [tasks, missions] = [endsOf(TASK_ENDS), endsOf(MISSION_ENDS)]
  return [
    ...(tasks === 1 ? [] : [`the task ended ${tasks} times`]),
    ...(missions === 1 ? [] : [`the mission ended ${missions} times`]),
  ]
}

const is =
  (name: MissionEventName) =>
  ({ type }: EvidenceEvent): boolean =>
    type === cloudEventType(name)
