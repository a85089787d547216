import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import { Timestamp } from './common.ts'
import { Id } from './ids.ts'
import { StringEnum } from './string-enum.ts'

export const MISSION_EVENTS = [
  'mission.submitted',
  'mission.started',
  'mission.paused',
  'mission.resumed',
  'mission.cancel_requested',
  'mission.signaled',
  'mission.compensating',
  'mission.completed',
  'mission.failed',
  'mission.canceled',
  'task.queued',
  'task.claimed',
  'task.progress',
  'task.output',
  'task.step.recorded',
  'task.artifact.stored',
  'task.effect.begun',
  'task.effect.done',
  'task.effect.resolved',
  'task.retry.scheduled',
  'task.waiting',
  'task.input_required',
  'task.verifying',
  'task.verified',
  'task.verification_failed',
  'task.completed',
  'task.failed',
  'task.rejected',
  'task.skipped',
  'task.canceled',
  'task.paused',
  'approval.requested',
  'approval.decided',
  'approval.escalated',
  'approval.expired',
  'context.written',
  'deadletter.added',
  'deadletter.edited',
  'deadletter.replayed',
  'deadletter.discarded',
] as const
export const MissionEventName = StringEnum(MISSION_EVENTS)
export type MissionEventName = Static<typeof MissionEventName>

export const AGENT_EVENTS = [
  'agent.registered',
  'agent.updated',
  'agent.health.changed',
  'agent.draining',
  'agent.stopped',
  'agent.deregistered',
] as const
export const AgentEventName = StringEnum(AGENT_EVENTS)
export type AgentEventName = Static<typeof AgentEventName>

/** What else happens to the fleet: the processes of agents, their recipes and the evidence for these. */
export const FLEET_EVENTS = [
  ...AGENT_EVENTS,
  'instance.spawned',
  'instance.ready',
  'instance.crashed',
  'instance.hibernated',
  'instance.stopped',
  'instance.quarantined',
  'blueprint.created',
  'blueprint.promoted',
  'blueprint.demoted',
  'gym.run.started',
  'gym.run.progress',
  'gym.run.completed',
  'gym.run.failed',
  'gym.run.canceled',
] as const
export const FleetEventName = StringEnum(FLEET_EVENTS)
export type FleetEventName = Static<typeof FleetEventName>

export type EventName = MissionEventName | FleetEventName

/** `task.completed` as CloudEvents type: `hypercode.task.completed.v1`. */
export const cloudEventType = (name: EventName): string => `hypercode.${name}.v1`

/** One event as it goes out over SSE: CloudEvents 1.0 in its JSON form. */
export const CloudEvent = Type.Object(
  {
    specversion: Type.Literal('1.0'),
    id: Type.String({ description: '<missionId>/<seq>, or <tenantId>/agents/<seq>' }),
    source: Type.String(),
    type: Type.String(),
    subject: Type.Optional(Type.String()),
    time: Timestamp,
    datacontenttype: Type.Literal('application/json'),
    tenantid: Id,
    correlationid: Type.Optional(Type.String()),
    causationid: Type.Optional(Type.String()),
    traceparent: Type.Optional(Type.String()),
    seq: Type.Integer({
      minimum: 1,
      description: '1, 2, 3… without a gap within the mission, or within the agents of the tenant',
    }),
    data: Type.Record(Type.String(), Type.Unknown()),
  },
  { $id: 'CloudEvent', additionalProperties: false },
)
export type CloudEvent = Static<typeof CloudEvent>
