import { newId } from '@hypercode/contracts'
import type { Agent, AgentInstance, Heartbeat, Lifecycle, RegisterAgent } from '@hypercode/contracts'

/** An agent instance as the fake knows it: one per token subject. */
export class FakeInstance {
  readonly id = newId()
  readonly agentId = newId()
  readonly subject: string
  readonly beats: (Heartbeat & { readonly atMs: number })[] = []
  readonly createdAt = new Date().toISOString()
  card: RegisterAgent
  incarnation = 0
  lifecycle: Lifecycle = 'ready'
  seq = 0
  leaseEndsMs = 0

  constructor(subject: string, card: RegisterAgent) {
    this.subject = subject
    this.card = card
  }

  get skills(): ReadonlySet<string> {
    return new Set(this.card.skills.map(({ id }) => id))
  }

  get slots(): number {
    return this.card.slots ?? 1
  }

  view(slotsUsed: number): Agent {
    const { slots: _slots, ...card } = this.card
    const instance: AgentInstance = {
      id: this.id,
      subject: this.subject,
      lifecycle: this.lifecycle,
      health: 'passing',
      incarnation: this.incarnation,
      version: card.version,
      slots: this.slots,
      slotsUsed,
      registeredAt: this.createdAt,
    }
    return {
      id: this.agentId,
      ...card,
      labels: card.labels ?? {},
      health: 'passing',
      etag: '"1"',
      createdAt: this.createdAt,
      updatedAt: this.createdAt,
      instances: [instance],
    }
  }
}
