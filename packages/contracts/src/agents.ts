import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import { IdParams, Labels, Name, Page, Timestamp, pageQuery } from './common.ts'
import { fence } from './fence.ts'
import { Id } from './ids.ts'
import { defineRoute } from './route.ts'
import { StringEnum } from './string-enum.ts'

export const SkillId = Type.String({ pattern: '^[a-z0-9][a-z0-9-]*(\\.[a-z0-9][a-z0-9-]*)*$', maxLength: 100 })

export const Skill = Type.Object(
  {
    id: SkillId,
    name: Type.Optional(Type.String({ maxLength: 200 })),
    description: Type.Optional(Type.String({ maxLength: 2000 })),
    tags: Type.Optional(Type.Array(Type.String({ maxLength: 60 }), { maxItems: 32 })),
  },
  { $id: 'Skill', additionalProperties: false },
)
export type Skill = Static<typeof Skill>

/** Whether the beats of an instance arrive, judged by the database clock. */
export const Health = StringEnum(['unknown', 'passing', 'warning', 'critical'])
export type Health = Static<typeof Health>

export const LIFECYCLE = [
  'provisioning',
  'warming',
  'ready',
  'hibernating',
  'unhealthy',
  'draining',
  'stopped',
  'reaped',
  'quarantined',
  'failed',
] as const
export const Lifecycle = StringEnum(LIFECYCLE)
export type Lifecycle = Static<typeof Lifecycle>

/** What an agent says of itself. */
const card = {
  name: Name,
  version: Type.String({ pattern: '^[0-9A-Za-z][0-9A-Za-z.+-]{0,63}$' }),
  description: Type.Optional(Type.String({ maxLength: 4000 })),
  skills: Type.Array(Skill, { minItems: 1, maxItems: 64 }),
  labels: Type.Optional(Labels),
}

export const AgentCard = Type.Object(card, { $id: 'AgentCard', additionalProperties: false })
export type AgentCard = Static<typeof AgentCard>

export const RegisterAgent = Type.Object(
  {
    ...card,
    slots: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 1000, default: 1, description: 'tasks that the instance runs at once' }),
    ),
  },
  { $id: 'RegisterAgent', additionalProperties: false },
)
export type RegisterAgent = Static<typeof RegisterAgent>

/** What a registration gives: the identity and the fence that every later call of the instance carries. */
export const Registration = Type.Object(
  {
    id: Id,
    instanceId: Id,
    incarnation: Type.Integer({ minimum: 1 }),
    leaseMs: Type.Integer(),
    heartbeatMs: Type.Integer(),
  },
  { $id: 'Registration', additionalProperties: false },
)
export type Registration = Static<typeof Registration>

export const AgentInstance = Type.Object(
  {
    id: Id,
    subject: Type.String({ description: 'token subject that the instance is bound to for life' }),
    lifecycle: Lifecycle,
    health: Health,
    incarnation: Type.Integer(),
    version: Type.String(),
    slots: Type.Integer(),
    slotsUsed: Type.Integer(),
    registeredAt: Timestamp,
    lastHeartbeatAt: Type.Optional(Timestamp),
    leaseExpiresAt: Type.Optional(Timestamp),
  },
  { $id: 'AgentInstance', additionalProperties: false },
)
export type AgentInstance = Static<typeof AgentInstance>

export const Agent = Type.Object(
  {
    id: Id,
    ...card,
    labels: Labels,
    health: Type.Unsafe<Health>({
      ...Health,
      description: 'best health among the live instances; unknown when there is none',
    }),
    version: card.version,
    etag: Type.String(),
    createdAt: Timestamp,
    updatedAt: Timestamp,
    instances: Type.Array(AgentInstance),
  },
  { $id: 'Agent', additionalProperties: false },
)
export type Agent = Static<typeof Agent>

export const AgentPage = Page(Agent, 'AgentPage')

/** Spares what has registered since under the same identity. */
const ofIncarnation = Type.Optional(
  Type.Unsafe<number>({
    ...fence.incarnation,
    description: 'only when the instance is still of this incarnation; 409 fenced otherwise',
  }),
)

const taskRef = { taskId: Id, attempt: Type.Integer({ minimum: 1 }) }

export const Heartbeat = Type.Object(
  {
    incarnation: Type.Integer({ minimum: 1 }),
    seq: Type.Integer({ minimum: 1, description: 'grows with every beat of this incarnation' }),
    tasks: Type.Optional(
      Type.Array(Type.Object(taskRef, { additionalProperties: false }), {
        maxItems: 1000,
        description: 'attempts that the instance is working on',
      }),
    ),
    loopLagMs: Type.Optional(
      Type.Integer({ minimum: 0, description: 'how long the main thread has not turned its event loop' }),
    ),
  },
  { $id: 'Heartbeat', additionalProperties: false },
)
export type Heartbeat = Static<typeof Heartbeat>

export const HeartbeatAnswer = Type.Object(
  {
    leaseMs: Type.Integer({ description: 'from now; the leases of all its tasks are renewed for as long' }),
    lifecycle: Lifecycle,
    canceled: Type.Array(Type.Object(taskRef, { additionalProperties: false }), {
      description: 'stop these, a person or a policy wants it',
    }),
    lost: Type.Array(Type.Object(taskRef, { additionalProperties: false }), {
      description: 'reported attempts that the instance no longer holds',
    }),
  },
  { $id: 'HeartbeatAnswer', additionalProperties: false },
)
export type HeartbeatAnswer = Static<typeof HeartbeatAnswer>

const registry = { service: 'agent-registry', tag: 'agents' } as const

export const registerAgent = defineRoute({
  ...registry,
  operationId: 'registerAgent',
  method: 'POST',
  path: '/v1/agents',
  summary: 'Register the calling agent instance; again means a new incarnation, and the old one is fenced',
  access: ['agent:write'],
  body: RegisterAgent,
  answers: { 200: Registration, 201: Registration },
})

export const listAgents = defineRoute({
  ...registry,
  operationId: 'listAgents',
  method: 'GET',
  path: '/v1/agents',
  summary: 'List and search agents',
  access: ['agent:read'],
  query: Type.Object(
    {
      ...pageQuery,
      skill: Type.Optional(SkillId),
      label: Type.Optional(Type.String({ pattern: '^[^=]+=.*$', maxLength: 300, description: 'key=value' })),
      health: Type.Optional(Health),
      q: Type.Optional(
        Type.String({ minLength: 1, maxLength: 100, description: 'text in name, description or skills' }),
      ),
    },
    { additionalProperties: false },
  ),
  answers: { 200: AgentPage },
})

export const getAgent = defineRoute({
  ...registry,
  operationId: 'getAgent',
  method: 'GET',
  path: '/v1/agents/{id}',
  summary: 'Read one agent with its instances',
  access: ['agent:read'],
  params: IdParams,
  answers: { 200: Agent },
})

export const getAgentCard = defineRoute({
  ...registry,
  operationId: 'getAgentCard',
  method: 'GET',
  path: '/v1/agents/{id}/card',
  summary: 'Read what the agent says of itself',
  access: ['agent:read'],
  params: IdParams,
  answers: { 200: AgentCard },
})

export const updateAgent = defineRoute({
  ...registry,
  operationId: 'updateAgent',
  method: 'PATCH',
  path: '/v1/agents/{id}',
  summary: 'Change description or labels; If-Match with the etag of the agent guards against lost updates',
  access: ['agent:write'],
  params: IdParams,
  headers: Type.Object({ 'if-match': Type.Optional(Type.String({ maxLength: 100 })) }),
  body: Type.Object(
    { description: Type.Optional(Type.String({ maxLength: 4000 })), labels: Type.Optional(Labels) },
    { $id: 'UpdateAgent', additionalProperties: false, minProperties: 1 },
  ),
  answers: { 200: Agent },
})

export const deleteAgent = defineRoute({
  ...registry,
  operationId: 'deleteAgent',
  method: 'DELETE',
  path: '/v1/agents/{id}',
  summary: 'Remove an agent; its instances are stopped and fenced',
  access: ['agent:write'],
  params: IdParams,
  answers: { 204: null },
})

export const heartbeatAgent = defineRoute({
  ...registry,
  operationId: 'heartbeatAgent',
  hot: true,
  method: 'POST',
  path: '/v1/agents/{id}/heartbeat',
  summary: 'Beat for the calling instance: renews its lease and the leases of all its tasks',
  access: ['agent:write'],
  params: IdParams,
  body: Heartbeat,
  answers: { 200: HeartbeatAnswer },
})

export const drainAgent = defineRoute({
  ...registry,
  operationId: 'drainAgent',
  method: 'POST',
  path: '/v1/agents/{id}:drain',
  summary: 'Give no new task to the agent (or to one instance of it); running ones may finish',
  access: ['agent:write'],
  params: IdParams,
  body: Type.Optional(
    Type.Object(
      { instanceId: Type.Optional(Id), incarnation: ofIncarnation },
      { $id: 'DrainAgent', additionalProperties: false },
    ),
  ),
  answers: { 200: Agent },
})

export const stopInstance = defineRoute({
  ...registry,
  operationId: 'stopInstance',
  method: 'DELETE',
  path: '/v1/agents/{id}/instances/{instanceId}',
  summary: 'Deregister an instance; its leases end at once and its tasks go to others',
  access: ['agent:write'],
  params: Type.Object({ id: Id, instanceId: Id }, { additionalProperties: false }),
  query: Type.Object({ incarnation: ofIncarnation }, { additionalProperties: false }),
  answers: { 204: null },
})

export const watchAgents = defineRoute({
  service: 'gateway',
  tag: 'agents',
  operationId: 'watchAgents',
  method: 'GET',
  path: '/v1/agents/watch',
  summary: 'Stream of agent events (SSE); `cursor` or Last-Event-ID resumes without a gap',
  access: ['agent:read'],
  query: Type.Object({ cursor: Type.Optional(Type.Integer({ minimum: 0 })) }, { additionalProperties: false }),
  answers: { 200: null },
  produces: 'text/event-stream',
  longLived: true,
})

/** The first HyperCode's paths; same bodies, same scopes. */
export const registerAgentAlias = defineRoute({
  ...registerAgent,
  operationId: 'registerAgentAlias',
  path: '/agents/register',
  summary: 'Alias of POST /v1/agents',
})

export const heartbeatAlias = defineRoute({
  ...registry,
  operationId: 'heartbeatAlias',
  hot: true,
  method: 'POST',
  path: '/agents/heartbeat',
  summary: 'Alias of POST /v1/agents/{id}/heartbeat for the instance that the token belongs to',
  access: ['agent:write'],
  body: Type.Object(
    { ...Heartbeat.properties, agentId: Type.Optional(Id) },
    { $id: 'HeartbeatAlias', additionalProperties: false },
  ),
  answers: { 200: HeartbeatAnswer },
})
