import { ROUTES, blueprintOfMark, parseClaimSkill } from '@hypercode/contracts'
import { AppError, implement } from '@hypercode/http'
import type { CompletionReport } from '@hypercode/contracts'
import type { ServiceApp } from '@hypercode/http'
import { reportOf } from '../engine/complete.ts'
import { fencedError } from '../engine/engine.ts'
import type { Engine } from '../engine/engine.ts'
import type { SkillBook } from '../engine/skill-book.ts'
import { staleError } from '../engine/fenced.ts'
import { fenceOf } from './fence.ts'
import { hangUpOf } from './hang-up.ts'

/** How agents take work and end it. Who they are comes from the token alone. */
export function workRoutes(app: ServiceApp, engine: Engine, skillBook: SkillBook): void {
  implement(app, ROUTES.claimTasks, async (request, reply) => {
    const { tenantId, subject } = request.principal
    const { claimId, incarnation, max, waitMs = 0, skills: only } = request.body
    const claimant = await skillBook.find(tenantId, subject, incarnation)
    if (claimant === undefined) throw fencedError()
    const { instanceId, skills: registered } = claimant
    const skills = only === undefined ? registered : registered.filter((skill) => isAmong(only, skill))
    const tasks = await engine.desk.claim({
      claimId,
      tenantId,
      subject,
      instanceId,
      incarnation,
      max,
      skills,
      waitMs,
      signal: hangUpOf(request, reply),
    })
    return { tasks }
  })

  implement(app, ROUTES.completeTasks, async (request) => {
    const { incarnation, results } = request.body
    checkWaits(results)
    const settled = await Promise.all(
      results.map(async (report) =>
        engine.reports.submit(
          reportOf(fenceOf(request.principal, report.taskId, { incarnation, attempt: report.attempt }), report),
        ),
      ),
    )
    if (settled.every((one) => one.status === 'stale')) throw staleError()
    return {
      results: results.map(({ taskId, attempt }, index) => {
        const { status, state } = settled[index] as (typeof settled)[number]
        return { taskId, attempt, status, ...(state === undefined ? {} : { state }) }
      }),
    }
  })
}

/** `wait` belongs to the outcome `waiting`, which the schema cannot say. */
function checkWaits(results: readonly CompletionReport[]): void {
  const faults = results.flatMap(({ outcome, wait }, index) =>
    (outcome === 'waiting') === (wait !== undefined)
      ? []
      : [{ pointer: `/results/${index}/wait`, message: 'goes with the outcome waiting, and with no other' }],
  )
  if (faults.length > 0) throw new AppError('request_invalid', { faults })
}

/** A claim names plain skills, and keeps what its instance is: a pool and a blueprint. */
const isAmong = (only: readonly string[], registered: string): boolean =>
  blueprintOfMark(registered) !== undefined || only.includes(parseClaimSkill(registered).skill)
