import { ROUTES } from '@hypercode/contracts'
import { AppError, implement } from '@hypercode/http'
import type { ServiceApp } from '@hypercode/http'
import { countUsage } from '../engine/count-usage.ts'
import type { Engine } from '../engine/engine.ts'
import {
  ARTIFACTS_BYTES_MAX,
  ARTIFACTS_MAX,
  STEPS_CHARS_MAX,
  STEPS_MAX,
  recordStep,
  reportProgress,
  storeArtifact,
  streamOutput,
} from '../store/journal.ts'
import { CALLS_MAX } from '../store/usage.ts'
import { staleError, took } from '../engine/fenced.ts'
import { fenceOf } from './fence.ts'

export interface JournalLimits {
  /** Characters that a task may bring out as events, in all its attempts. */
  readonly outputMaxChars: number
}

/** What a running attempt writes: its journal, and what it tells people. */
export function journalRoutes(app: ServiceApp, engine: Engine, limits: JournalLimits): void {
  keepingRoutes(app, engine)
  tellingRoutes(app, engine, limits)
}

function keepingRoutes(app: ServiceApp, engine: Engine): void {
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

  implement(app, ROUTES.recordUsage, async (request, reply) => {
    const fence = fenceOf(request.principal, request.params.id, request.body)
    const { kind, saved } = await countUsage(urgentDb, fence, request.body)
    if (kind === 'fenced') throw staleError()
    if (kind === 'full')
      throw new AppError('unprocessable', { detail: `A task counts at most ${CALLS_MAX} model calls.` })
    engine.after(saved)
    return reply.code(204).send()
  })
}

function tellingRoutes(app: ServiceApp, engine: Engine, { outputMaxChars }: JournalLimits): void {
  const { urgentDb } = engine

  implement(app, ROUTES.reportProgress, async (request, reply) => {
    took(
      engine,
      await reportProgress(urgentDb, fenceOf(request.principal, request.params.id, request.body), request.body),
    )
    return reply.code(204).send()
  })

  implement(app, ROUTES.streamOutput, async (request, reply) => {
    const fence = fenceOf(request.principal, request.params.id, request.body)
    const said = await streamOutput(urgentDb, fence, request.body.text, outputMaxChars)
    if (said.kind === 'full') {
      throw new AppError('conflict', {
        detail: `A task brings out at most ${outputMaxChars} characters as events.`,
        fix: 'Send no more output for this task; store what is large as an artifact.',
      })
    }
    took(engine, said)
    return reply.code(204).send()
  })
}
