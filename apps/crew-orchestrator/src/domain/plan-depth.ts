/** Managers, one planned by the other. */
export const PLAN_DEPTH_MAX = 3
