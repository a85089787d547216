import type { AgentCard, Skill } from '@hypercode/contracts'

/** What an agent says of itself, as its author writes it. */
export interface AgentProfile {
  readonly name: string
  readonly version: string
  readonly description?: string
  readonly skills: readonly Readonly<Skill>[]
  readonly labels?: Readonly<Record<string, string>>
}

/** The card of a profile: only what belongs on a card, skills and labels in a fixed order, so that equal cards are equal text. */
export function buildCard(profile: AgentProfile): AgentCard {
  const { name, version, description, labels } = profile
  return {
    name,
    version,
    ...(description !== undefined && { description }),
    skills: [...profile.skills].sort((a, b) => compare(a.id, b.id)).map(toSkill),
    ...(labels !== undefined && {
      labels: Object.fromEntries(Object.entries(labels).sort(([a], [b]) => compare(a, b))),
    }),
  }
}

const toSkill = ({ id, name, description, tags }: Skill): Skill => ({
  id,
  ...(name !== undefined && { name }),
  ...(description !== undefined && { description }),
  ...(tags !== undefined && { tags: [...tags] }),
})

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
