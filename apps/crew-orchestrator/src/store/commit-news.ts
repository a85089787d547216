/** What a commit has to tell: hints for the streams, queues where work may be claimed, events for the log. */
import type { MissionEventName } from '@hypercode/contracts'
import type { MissionHint, QueueRef } from '@hypercode/events'
import type { MissionFacts } from '../domain/facts.ts'
import type { HandOver } from '../domain/hand-over.ts'
import { tasksOf } from '../domain/ledger.ts'
import type { Ledger } from '../domain/ledger.ts'
import { isMissionTerminal } from '../domain/states.ts'

/** An event that was committed, as it goes to the log. */
export interface ToldEvent {
  event: MissionEventName
  tenantId: string
  missionId: string
  correlationId: string
  taskId?: string
  attempt?: number
}

/** `eventsBehind` are those of a hand-over, which the ledger does not number. */
export const hintOf = (mission: MissionFacts, eventsBehind = 0): MissionHint => ({
  kind: 'mission',
  tenantId: mission.tenantId,
  missionId: mission.id,
  seq: mission.eventSeq + eventsBehind,
  correlationId: mission.correlationId,
  ...(isMissionTerminal(mission.state) ? { ended: true as const } : {}),
})

/** Where a ledger queues tasks that are not handed over. */
export function queuesOf(ledger: Ledger, { handOf }: Pick<HandOver, 'handOf'>): QueueRef[] {
  const queues = new Map<string, QueueRef>()
  for (const task of tasksOf(ledger)) {
    if (task.state === 'queued' && !handOf.has(task))
      queues.set(`${task.tenantId} ${task.queue}`, { tenantId: task.tenantId, queue: task.queue })
  }
  return [...queues.values()]
}

/** The events of a ledger with what they belong to. */
export function toldOf(ledger: Ledger): ToldEvent[] {
  return ledger.events.map(({ missionId, type, taskId, body }) => {
    const { tenantId, correlationId } = ledger.missions.get(missionId) as MissionFacts
    const attempt = body['attempt']
    return {
      event: type,
      tenantId,
      missionId,
      correlationId,
      ...(taskId === null ? {} : { taskId }),
      ...(typeof attempt === 'number' ? { attempt } : {}),
    }
  })
}
