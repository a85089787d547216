import type { ClaimedTask } from '@hypercode/contracts'
import type { QueueRef } from '@hypercode/events'
import type { CrewPlan } from '../../src/manifest/compile.ts'
import { planMission, submitMissions } from '../../src/engine/submit.ts'
import type { SubmitOrder } from '../../src/engine/submit.ts'
import type { ToldEvent } from '../../src/store/commit-news.ts'
import { sorted } from './course.ts'
import type { Course } from './course.ts'
import type { WaitingClaims } from './hands.ts'

export const orderOf = ({ side }: Course, plan: CrewPlan, key: string, requestHash = 'aa'): SubmitOrder => ({
  tenantId: side.tenantId,
  createdBy: 'c',
  plan,
  crewVersion: 1,
  manifest: null,
  input: { key },
  priority: 0,
  labels: {},
  idempotencyKey: key,
  requestHash,
  requestChars: 1,
  correlationId: key,
  traceparent: null,
})

export interface Submitted extends Handed {
  answers: object[]
  queued: QueueRef[]
  ended: string[]
  told: ToldEvent[]
}

export interface Handed {
  /** Whether all that the claims were to be given was theirs. */
  isHanded: boolean
  given: (readonly ClaimedTask[])[]
}

/** Stores missions in one statement, which may hand over to claims that wait. */
export async function submitAll(
  course: Course,
  orders: readonly SubmitOrder[],
  claims: WaitingClaims,
): Promise<Submitted> {
  const { side, missions, names } = course
  const rows = orders.map(planMission)
  const over = claims.handOver(rows.map(({ ledger }) => ledger))
  const { results, saved, stored } = await submitMissions(side.db, rows, over)
  const isHanded = (missionId: string): boolean => saved.isHanded && stored.has(missionId)
  const given = claims.end(({ missionId }) => isHanded(missionId))
  for (const { mission, ledger } of rows) if (isHanded(mission.id)) course.handed.keep(ledger, over)
  const answers = results.map((result) => {
    if (result instanceof Error) return { refused: (result as { code?: string }).code }
    if (!result.replayed) {
      names.set(result.id, `mission-${missions.length}`)
      missions.push(result.id)
    }
    return result
  })
  const { ended, told } = saved
  return { answers, queued: sorted(saved.queued), ended, told, isHanded: saved.isHanded, given }
}
