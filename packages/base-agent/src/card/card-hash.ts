import type { AgentCard } from '@hypercode/contracts'
import { hashOf } from '../json.ts'
import { buildCard } from './build-card.ts'

/** SHA-256 of the card in hex: equal for equal cards, whatever the order of skills, labels or keys. */
export const cardHash = (card: AgentCard): string => hashOf(buildCard(card))
