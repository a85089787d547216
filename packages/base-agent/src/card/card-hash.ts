import type { AgentCard } from '@hypercode/contracts'
import { hashOf } from '../json.ts'
import { buildCard } from './build-card.ts'

/** SHA-256 of the card in hex: equal for equal cards, whatever the order of skills, labels or keys. */
export function cardHash(card: AgentCard): string {
  const { skills, ...rest } = buildCard(card)
  return hashOf({ ...rest, skills: skills.sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)) })
}
