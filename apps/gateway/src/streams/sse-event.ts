import { cloudEventType } from '@hypercode/contracts'
import type { CloudEvent, EventName } from '@hypercode/contracts'
import type { EventRow, MissionHead } from '../store/events.ts'

/** An event as it goes out; the text is made once, however many read along. */
export interface SseEvent {
  readonly seq: number
  readonly text: string
  /** The mission is over with it. */
  readonly terminal: boolean
}

const TERMINAL = new Set(['mission.completed', 'mission.failed', 'mission.canceled'])

export function missionSseEvent(tenantId: string, missionId: string, head: MissionHead, row: EventRow): SseEvent {
  return sseEvent(row, {
    ...envelope(tenantId, row),
    id: `${missionId}/${row.seq}`,
    source: `/v1/missions/${missionId}`,
    subject: row.aboutId ?? missionId,
    correlationid: head.correlationId,
    ...(head.traceparent !== null && { traceparent: head.traceparent }),
    data: { missionId, ...(row.aboutId !== null && { taskId: row.aboutId }), ...row.body },
  })
}

export function agentSseEvent(tenantId: string, row: EventRow): SseEvent {
  const agentId = row.aboutId
  return sseEvent(row, {
    ...envelope(tenantId, row),
    id: `${tenantId}/agents/${row.seq}`,
    source: `/v1/${row.ref ?? `agents/${agentId}`}`,
    subject: row.instanceId ?? agentId ?? row.ref ?? tenantId,
    data: {
      ...(agentId !== null && { agentId }),
      ...(row.instanceId !== null && { instanceId: row.instanceId }),
      ...row.body,
    },
  })
}

const envelope = (tenantId: string, row: EventRow) => ({
  specversion: '1.0' as const,
  type: cloudEventType(row.type as EventName),
  time: row.at.toISOString(),
  datacontenttype: 'application/json' as const,
  tenantid: tenantId,
  seq: row.seq,
})

/** JSON holds no raw line break, so one `data:` line is enough. */
function sseEvent(row: EventRow, event: CloudEvent): SseEvent {
  return { seq: row.seq, text: `id: ${row.seq}\ndata: ${JSON.stringify(event)}\n\n`, terminal: TERMINAL.has(row.type) }
}
