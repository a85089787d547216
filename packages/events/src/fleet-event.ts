import type { FleetEventName } from '@hypercode/contracts'

/** An event before it has its number. */
export interface FleetEventDraft {
  readonly tenantId: string
  readonly type: FleetEventName
  /** Absent for news of blueprints, factory instances and gym runs. */
  readonly agentId?: string
  readonly instanceId?: string
  /** What the event is about when it is no agent, as its path below /v1: `instances/<id>`, `blueprints/<name>/versions/3`. */
  readonly ref?: string
  readonly body: Readonly<Record<string, unknown>>
}

export interface NumberedEvent extends FleetEventDraft {
  readonly seq: number
}

/** Numbers events per tenant, densely, behind the last number of each tenant. Throws for a tenant whose head is not held. */
export function numberEvents(
  drafts: readonly FleetEventDraft[],
  heads: ReadonlyMap<string, number>,
): { events: NumberedEvent[]; heads: Map<string, number> } {
  const last = new Map<string, number>()
  const events = drafts.map((draft) => {
    const before = last.get(draft.tenantId) ?? heads.get(draft.tenantId)
    if (before === undefined) throw new Error(`the event head of tenant ${draft.tenantId} is not held`)
    last.set(draft.tenantId, before + 1)
    return { ...draft, seq: before + 1 }
  })
  return { events, heads: last }
}
