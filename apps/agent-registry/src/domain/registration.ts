/**
 * What a batch of registrations comes to. Pure: it sees the rows that exist and says which rows must exist afterwards.
 *
 * G1 A token subject is one agent instance for life, an agent is (tenant, name); neither is ever handed to somebody else.
 * G2 Every registration of a subject is an incarnation of its own: 1, 2, 3… without a gap.
 * G3 The card of the latest registration is the agent's card; description and labels that it does not name stay as they are.
 * G4 What the factory made claims as what it was made for, a pool and a blueprint, and a spare gets no work until it is promoted. Its
 *    card says nothing of that, and what people see is the card.
 */
import { REGISTERED_AS, canRegister } from '@hypercode/base-agent/lifecycle'
import { blueprintMark, claimSkill } from '@hypercode/contracts'
import type { Health, Labels, Lifecycle, RegisterAgent, Skill } from '@hypercode/contracts'
import type { FleetEventDraft } from '@hypercode/events'

export interface RegistrationRequest {
  readonly tenantId: string
  readonly subject: string
  readonly card: RegisterAgent
  readonly correlationId: string | undefined
}

export interface KnownAgent {
  readonly id: string
  readonly tenantId: string
  readonly name: string
  readonly version: string
  readonly description: string | null
  readonly skills: readonly Skill[]
  readonly labels: Labels
  readonly deleted: boolean
}

export interface KnownInstance {
  readonly id: string
  readonly tenantId: string
  readonly agentId: string
  readonly subject: string
  readonly lifecycle: Lifecycle
  readonly health: Health
  readonly incarnation: number
}

/** What the factory made, by the client that it made for it. */
export interface KnownMake {
  readonly tenantId: string
  readonly clientId: string
  readonly blueprint: string
  readonly version: number
  readonly pool: string | null
  readonly role: 'member' | 'spare'
}

/** The rows that the batch is about, read under their locks. */
export interface Known {
  readonly tenants: ReadonlySet<string>
  readonly agents: readonly KnownAgent[]
  readonly instances: readonly KnownInstance[]
  readonly makes: readonly KnownMake[]
}

export type RegistrationOutcome =
  | {
      readonly kind: 'registered'
      readonly first: boolean
      readonly agentId: string
      readonly instanceId: string
      readonly incarnation: number
    }
  /** The subject is bound to the agent of this name. */
  | { readonly kind: 'bound'; readonly name: string }
  | { readonly kind: 'quarantined' }
  | { readonly kind: 'tenant_unknown' }

/** An instance as the batch leaves it. */
export interface RegisteredInstance {
  readonly id: string
  readonly tenantId: string
  readonly agentId: string
  readonly subject: string
  readonly version: string
  /** As claims see them. */
  readonly skills: readonly string[]
  readonly slots: number
  readonly lifecycle: Lifecycle
  readonly incarnation: number
}

export interface RegistrationPlan {
  /** One per request, in order. */
  readonly outcomes: readonly RegistrationOutcome[]
  /** Agents to insert, or to change because their card did. */
  readonly agents: readonly KnownAgent[]
  readonly instances: readonly RegisteredInstance[]
  readonly events: readonly FleetEventDraft[]
}

export function planRegistrations(
  requests: readonly RegistrationRequest[],
  known: Known,
  newId: () => string,
): RegistrationPlan {
  const agents = new Map(known.agents.map((agent) => [agentKey(agent.tenantId, agent.name), agent]))
  const nameOf = new Map(known.agents.map((agent) => [agent.id, agent.name]))
  const instances = new Map<string, KnownInstance>(
    known.instances.map((one) => [instanceKey(one.tenantId, one.subject), one]),
  )
  const makes = new Map(known.makes.map((make) => [makeKey(make.tenantId, make.clientId), make]))
  const changed = new Map<string, KnownAgent>()
  const registered = new Map<string, RegisteredInstance>()
  const events: FleetEventDraft[] = []

  const outcomes = requests.map((request): RegistrationOutcome => {
    const { tenantId, subject, card } = request
    if (!known.tenants.has(tenantId)) return { kind: 'tenant_unknown' }
    const before = instances.get(instanceKey(tenantId, subject))
    const boundTo = before === undefined ? undefined : (nameOf.get(before.agentId) ?? '')
    if (boundTo !== undefined && boundTo !== card.name) return { kind: 'bound', name: boundTo }
    if (!canRegister(before?.lifecycle)) return { kind: 'quarantined' }

    const agentBefore = agents.get(agentKey(tenantId, card.name))
    const agent = agentAfter(agentBefore, request, newId)
    if (agentBefore === undefined || !sameAgent(agentBefore, agent)) changed.set(agent.id, agent)
    agents.set(agentKey(tenantId, card.name), agent)
    nameOf.set(agent.id, agent.name)

    const instance = instanceAfter(before, agent.id, request, makes.get(makeKey(tenantId, clientOf(subject))), newId)
    instances.set(instanceKey(tenantId, subject), { ...instance, health: 'unknown' })
    registered.set(instance.id, instance)
    events.push(registeredEvent(instance, request, before))
    const { id: instanceId, incarnation } = instance
    return { kind: 'registered', first: before === undefined, agentId: agent.id, instanceId, incarnation }
  })
  return { outcomes, agents: [...changed.values()], instances: [...registered.values()], events }
}

/**
 * The client of a token subject, which is `<client>` or `<client>/<instance>`: an instance with a name of its own choice is as much in
 * its pool as one without.
 */
export const clientOf = (subject: string): string => subject.split('/', 1)[0] as string

/** Skills without repetition, as claims and searches use them. */
export const skillIdsOf = (skills: readonly Skill[]): string[] => [...new Set(skills.map((skill) => skill.id))]

function agentAfter(
  before: KnownAgent | undefined,
  { tenantId, card }: RegistrationRequest,
  newId: () => string,
): KnownAgent {
  return {
    id: before?.id ?? newId(),
    tenantId,
    name: card.name,
    version: card.version,
    description: card.description ?? before?.description ?? null,
    skills: card.skills,
    labels: card.labels ?? before?.labels ?? {},
    deleted: false,
  }
}

function instanceAfter(
  before: KnownInstance | undefined,
  agentId: string,
  { tenantId, subject, card }: RegistrationRequest,
  make: KnownMake | undefined,
  newId: () => string,
): RegisteredInstance {
  return {
    id: before?.id ?? newId(),
    tenantId,
    agentId,
    subject,
    version: card.version,
    skills: claimSkillsOf(card.skills, make),
    slots: card.slots ?? 1,
    lifecycle: make?.role === 'spare' ? 'warming' : REGISTERED_AS,
    incarnation: (before?.incarnation ?? 0) + 1,
  }
}

/** G4 */
function claimSkillsOf(skills: readonly Skill[], make: KnownMake | undefined): string[] {
  const ids = skillIdsOf(skills)
  if (make === undefined) return ids
  return [...ids.map((id) => claimSkill(id, make.pool)), blueprintMark(make.blueprint, make.version)]
}

function registeredEvent(
  instance: RegisteredInstance,
  { card, correlationId }: RegistrationRequest,
  before: KnownInstance | undefined,
): FleetEventDraft {
  return {
    tenantId: instance.tenantId,
    type: 'agent.registered',
    agentId: instance.agentId,
    instanceId: instance.id,
    body: {
      name: card.name,
      version: card.version,
      skills: skillIdsOf(card.skills),
      slots: instance.slots,
      incarnation: instance.incarnation,
      lifecycle: instance.lifecycle,
      health: 'unknown',
      ...(before !== undefined && { before: { lifecycle: before.lifecycle, health: before.health } }),
      ...(correlationId !== undefined && { correlationId }),
    },
  }
}

function sameAgent(a: KnownAgent, b: KnownAgent): boolean {
  return (
    a.version === b.version &&
    a.description === b.description &&
    a.deleted === b.deleted &&
    canonical(a.skills) === canonical(b.skills) &&
    canonical(a.labels) === canonical(b.labels)
  )
}

/** jsonb does not keep the order of members, so it must not count. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, member: unknown) =>
    typeof member === 'object' && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1)))
      : member,
  )
}

const agentKey = (tenantId: string, name: string): string => `${tenantId} ${name}`
const makeKey = (tenantId: string, clientId: string): string => `${tenantId} ${clientId}`
const instanceKey = (tenantId: string, subject: string): string => `${tenantId} ${subject}`
