import type { Goal } from '../goal.ts'
import { r15 } from './cancels.ts'
import { r8 } from './detection.ts'
import { r1, r2 } from './kill-storm.ts'
import { r10 } from './mass-expiry.ts'
import { r13 } from './poison.ts'
import { r5 } from './postgres.ts'
import { r3, r4 } from './redis.ts'
import { r6 } from './replies.ts'
import { r14 } from './timers.ts'

/** Those that leave the streams whole come first, so that the checker can ask for all of them. */
export const GOALS: readonly Goal[] = [r6, r8, r10, r13, r15, r1, r2, r3, r4, r5, r14]
