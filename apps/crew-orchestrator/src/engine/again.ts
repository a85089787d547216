import type { ForkMission } from '@hypercode/contracts'
import type { Db } from '@hypercode/db'
import { AppError } from '@hypercode/http'
import { canonical, hashText } from '@hypercode/manifest'
import { keptAfter, withInput } from '../domain/again.ts'
import type { Kept } from '../domain/again.ts'
import type { CrewPlan } from '../manifest/compile.ts'
import { findMissionToRepeat, readKept } from '../store/again.ts'
import type { PlanSource } from './plans.ts'
import type { SubmitOrder } from './submit.ts'

export interface AgainOrder {
  tenantId: string
  actor: string
  missionId: string
  /** Where it begins; a retry when left out. */
  fork: ForkMission | undefined
  idempotencyKey: string | undefined
  correlationId: string
  traceparent: string | null
}

/** The order of a mission that does another one again. Aliases of blueprints are looked up anew; everything else is as it was. */
export async function orderAgain(db: Db, plans: PlanSource, order: AgainOrder): Promise<SubmitOrder> {
  const { tenantId, missionId, fork } = order
  const before = await findMissionToRepeat(db, tenantId, missionId)
  if (before === undefined) throw new AppError('not_found')
  if (fork === undefined && before.state !== 'failed' && before.state !== 'canceled') {
    throw new AppError('conflict', {
      detail: `The mission is ${before.state}.`,
      fix: 'Only a failed or canceled mission is retried; fork it from one of its tasks instead.',
    })
  }
  const { crew, crewVersion, manifest } = before
  const reference = crewVersion === null ? { manifest: manifest ?? {} } : { crew: `${crew}@${crewVersion}` }
  const source = await plans.planOf(tenantId, reference)
  const done = await readKept(db, missionId)
  const { plan, kept } =
    fork === undefined ? { plan: source.plan, kept: keptAfter(source.plan, done) } : forked(source.plan, done, fork)
  const request = canonical({ missionId, fork: fork ?? null })
  return {
    ...source,
    plan,
    kept,
    parentMissionId: missionId,
    tenantId,
    createdBy: order.actor,
    input: before.input ?? null,
    priority: before.priority,
    labels: before.labels,
    budget: before.budget ?? undefined,
    idempotencyKey: order.idempotencyKey ?? null,
    requestHash: hashText(request),
    requestChars: request.length + JSON.stringify(before.input ?? null).length,
    correlationId: order.correlationId,
    traceparent: order.traceparent,
  }
}

function forked(
  plan: CrewPlan,
  done: ReadonlyMap<string, Kept>,
  fork: ForkMission,
): { plan: CrewPlan; kept: ReadonlyMap<string, Kept> } {
  const refuse = (message: string): AppError =>
    new AppError('unprocessable', { detail: message, faults: [{ pointer: '/from', message }] })
  if (!plan.tasks.some((task) => task.key === fork.from)) throw refuse(`there is no task "${fork.from}"`)
  const kept = keptAfter(plan, done, fork.from)
  if (!('input' in fork)) return { plan, kept }
  const changed = withInput(plan, fork.from, fork.input)
  if (changed === undefined)
    throw refuse('the elements of a forEach have inputs of their own; fork from what it waits for')
  return { plan: changed, kept }
}
