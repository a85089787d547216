import { limitQueue, pauseQueue, resumeQueue } from '../../src/engine/queues.ts'
import { SKILLS } from '../../sim/crews.ts'
import { pick } from './course.ts'
import type { Act } from './course.ts'

/** What people say of queues. */
export const PEOPLE_ACTS = {
  async queue({ side }, { at, other, kind }) {
    const order = { tenantId: side.tenantId, queue: pick(SKILLS, at) as string, actor: 'p' }
    if (kind < 0.15) return (await pauseQueue(side.db, order)).queued
    if (kind < 0.5) return (await resumeQueue(side.db, order)).queued
    return (await limitQueue(side.db, order, pick([1, 2, null], other) ?? null)).queued
  },
} as const satisfies Record<string, Act>
