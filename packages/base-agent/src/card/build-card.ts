import type { AgentCard, Skill } from '@hypercode/contracts'

/** What an agent says of itself, as its author writes it. */
export interface AgentProfile {
  readonly name: string
  readonly version: string
  readonly description?: string
  readonly skills: readonly Readonly<Skill>[]
  readonly labels?: Readonly<Record<string, string>>
}

/** The card of a profile: what belongs on a card, and nothing else. */
export function buildCard(profile: AgentProfile): AgentCard {
  const { name, version, description, labels } = profile
  return {
    name,
    version,
    ...(description !== undefined && { description }),
    skills: profile.skills.map(toSkill),
    ...(labels !== undefined && { labels: { ...labels } }),
  }
}

const toSkill = ({ id, name, description, tags }: Skill): Skill => ({
  id,
  ...(name !== undefined && { name }),
  ...(description !== undefined && { description }),
  ...(tags !== undefined && { tags: [...tags] }),
})
