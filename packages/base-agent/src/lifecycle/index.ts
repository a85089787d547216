export { HEALTH_MOVES, assertHealthMove, canMoveHealth, healthPath } from './health.ts'
export {
  LIFECYCLE_MOVES,
  MoveRefused,
  REGISTERED_AS,
  asksForWork,
  assertMove,
  canMove,
  canRegister,
  isTerminal,
  nextStates,
  takesWork,
} from './lifecycle.ts'
