/** What must be true of a database of the platform: for the tests of a service, and for the checker that runs after a storm. */
export { findBroken } from './find-broken.ts'
export type { Broken, Statements } from './find-broken.ts'
export { findBrokenHistories } from './mission-histories.ts'
export { MISSION_STATEMENTS } from './mission-statements.ts'
export { LEGAL_TASK_MOVES, TASK_STATE_AFTER } from './moves.ts'
