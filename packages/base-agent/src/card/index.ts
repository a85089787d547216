export { buildCard } from './build-card.ts'
export type { AgentProfile } from './build-card.ts'
export { cardFaults } from './card-faults.ts'
export { cardHash } from './card-hash.ts'
