import { ROUTES } from '@hypercode/contracts'
import { AppError, implement } from '@hypercode/http'
import type { Principal, ServiceApp } from '@hypercode/http'
import { reportOf } from '../engine/complete.ts'
import { fencedError } from '../engine/engine.ts'
import type { Engine } from '../engine/engine.ts'
import type { SkillBook } from '../engine/skill-book.ts'
import {
  ARTIFACTS_BYTES_MAX,
  ARTIFACTS_MAX,
  STEPS_CHARS_MAX,
  STEPS_MAX,
  recordStep,
  reportProgress,
  storeArtifact,
} from '../store/journal.ts'
import type { Written } from '../store/journal.ts'
import { NOTHING_SAVED } from '../store/save-ledger.ts'
import type { FenceClaim } from '../store/reports.ts'
import { hangUpOf } from './hang-up.ts'

/** What agents call. Who they are comes from the token alone; the fence is (instance, incarnation, attempt). */
export function workRoutes(app: ServiceApp, engine: Engine, skillBook: SkillBook): void {
  implement(app, ROUTES.claimTasks, async (request, reply) => {
    const { tenantId, subject } = request.principal
    const { claimId, incarnation, max, waitMs = 0, skills: only } = request.body
    const registered = await skillBook.skillsOf(tenantId, subject, incarnation)
    if (registered === undefined) throw fencedError()
    const skills = only === undefined ? registered : registered.filter((skill) => only.includes(skill))
    const tasks = await engine.desk.claim({
      claimId,
      tenantId,
      subject,
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

  journalRoutes(app, engine)
}

function journalRoutes(app: ServiceApp, engine: Engine): void {
  const { urgentDb } = engine

  implement(app, ROUTES.recordStep, async (request, reply) => {
    const { requestHash, response } = request.body
    const step = { name: request.params.name, response, ...(requestHash === undefined ? {} : { requestHash }) }
    const recorded = await recordStep(urgentDb, fenceOf(request.principal, request.params.id, request.body), step)
    if (recorded.kind === 'full') {
      throw new AppError('unprocessable', {
        detail: `The journal of a task holds at most ${STEPS_MAX} steps with ${STEPS_CHARS_MAX} characters together.`,
        fix: 'Record fewer or shorter results; store what is large as an artifact.',
      })
    }
    const written = took(engine, recorded)
    if (!written.created && written.step.requestHash !== requestHash) {
      throw new AppError('idempotency_mismatch', {
        detail: 'The step was recorded with another request.',
        fix: 'Give a step that does something else another name.',
      })
    }
    return reply.code(written.created ? 201 : 200).send(written.step)
  })

  implement(app, ROUTES.reportProgress, async (request, reply) => {
    took(
      engine,
      await reportProgress(urgentDb, fenceOf(request.principal, request.params.id, request.body), request.body),
    )
    return reply.code(204).send()
  })

  implement(app, ROUTES.putArtifact, async (request, reply) => {
    const file = {
      name: request.params.name,
      mediaType: request.headers['content-type'] ?? 'application/octet-stream',
      content: request.body,
    }
    const stored = await storeArtifact(urgentDb, fenceOf(request.principal, request.params.id, request.query), file)
    if (stored.kind === 'full') {
      throw new AppError('unprocessable', {
        detail: `A task stores at most ${ARTIFACTS_MAX} artifacts with ${ARTIFACTS_BYTES_MAX} bytes together.`,
        fix: 'Replace an artifact by storing one with its name.',
      })
    }
    const written = took(engine, stored)
    return reply.code(written.created ? 201 : 200).send(written.artifact)
  })
}

const fenceOf = (
  { tenantId, subject }: Principal,
  taskId: string,
  { incarnation, attempt }: { incarnation: number; attempt: number },
): FenceClaim => ({
  tenantId,
  subject,
  incarnation,
  taskId,
  attempt,
})

/** Publishes what was written, or refuses the write of an attempt that is not the current one. */
function took<T extends object>(engine: Engine, written: Written<T>): T {
  if (written.kind === 'fenced') throw staleError()
  engine.after({ ...NOTHING_SAVED, outbox: written.outbox })
  return written
}

const staleError = (): AppError =>
  new AppError('stale_attempt', { fix: 'Stop working on it: the task has ended or another attempt has taken over.' })
