import { ROUTES } from '@hypercode/contracts'
import type { GymRun, Suite } from '@hypercode/contracts'
import { AppError, badCursor, checkIdCursor, implement, pageOf } from '@hypercode/http'
import type { ServiceApp } from '@hypercode/http'
import { contentHash } from '@hypercode/manifest'
import { planSamples, plannedCount } from '../domain/plan.ts'
import { runFaults } from '../domain/run-request.ts'
import type { GymMeans } from '../domain/run-request.ts'
import { findBlueprint } from '../store/blueprints.ts'
import type { BlueprintVersion } from '../store/blueprints.ts'
import { cancelRun, resumeRun, startRun } from '../store/run-moves.ts'
import type { MoveDeps } from '../store/run-moves.ts'
import { findRun, findRunByKey, listRuns } from '../store/runs.ts'
import type { RunRecord } from '../store/runs.ts'
import { listSamples } from '../store/samples.ts'
import { readJudged } from '../store/report-samples.ts'
import { findSuite } from '../store/suites.ts'
import { viewRun } from './run-view.ts'

export interface RunRouteDeps extends MoveDeps {
  readonly means: GymMeans
  readonly samplesMax: number
}

/** Samples at a time, where neither the request nor the suite says anything. */
const PARALLEL = 4

export function runRoutes(app: ServiceApp, deps: RunRouteDeps): void {
  startRoute(app, deps)
  readRoutes(app, deps)

  implement(app, ROUTES.cancelGymRun, async ({ params: { id }, principal: { tenantId, subject } }) => {
    const canceled = await cancelRun(deps, { tenantId, id, actor: subject })
    return canceled === undefined ? await readRun(deps, tenantId, id) : viewRun(canceled)
  })

  implement(app, ROUTES.resumeGymRun, async ({ params: { id }, principal: { tenantId, subject } }) => {
    const resumed = await resumeRun(deps, { tenantId, id, actor: subject })
    if (resumed !== undefined) return viewRun(resumed)
    throw whyNotResumed(await known(deps, tenantId, id))
  })
}

function startRoute(app: ServiceApp, deps: RunRouteDeps): void {
  implement(app, ROUTES.startGymRun, async ({ body, headers, principal }, reply) => {
    const { tenantId, subject } = principal
    const key = headers['idempotency-key']
    const requestHash = contentHash(body)
    const before = key === undefined ? undefined : await findRunByKey(deps.db, tenantId, key)
    if (before !== undefined) return viewRun(sameRequest(before, requestHash))
    const { suite, blueprint } = await subjectsOf(deps, tenantId, body)
    const faults = runFaults(suite.manifest, blueprint, deps.means)
    if (faults.length > 0) throw new AppError('unprocessable', { faults })
    const count = plannedCount(suite.manifest, body.repetitions)
    if (count > deps.samplesMax) {
      throw new AppError('unprocessable', {
        detail: `The run would take ${count} samples; ${deps.samplesMax} are allowed.`,
        fix: 'Ask for fewer repetitions.',
      })
    }
    const made = await startRun(deps, {
      tenantId,
      suite: suite.name,
      suiteVersion: suite.version,
      blueprint: blueprint.name,
      blueprintVersion: blueprint.version,
      blueprintHash: blueprint.hash,
      rule: suite.manifest.spec.gate,
      parallel: body.parallel ?? suite.manifest.spec.parallel ?? PARALLEL,
      plan: planSamples(suite.manifest, body.repetitions),
      createdBy: subject,
      idempotencyKey: key ?? null,
      requestHash,
    })
    if (made !== undefined) return reply.code(202).header('location', `/v1/gym/runs/${made.id}`).send(viewRun(made))
    // Another request with this key was a moment earlier.
    const first = key === undefined ? undefined : await findRunByKey(deps.db, tenantId, key)
    if (first === undefined) throw new AppError('conflict')
    return viewRun(sameRequest(first, requestHash))
  })
}

function readRoutes(app: ServiceApp, deps: RunRouteDeps): void {
  implement(app, ROUTES.listGymRuns, async ({ principal, query: { limit = 50, cursor, ...filter } }) => {
    checkIdCursor(cursor)
    const { rows, cut } = await listRuns(deps.db, principal.tenantId, filter, { limit: limit + 1, cursor })
    return pageOf({ rows: rows.map((run) => viewRun(run)), cut }, limit, (run) => run.id)
  })

  implement(app, ROUTES.getGymRun, async ({ params, principal }) => await readRun(deps, principal.tenantId, params.id))

  implement(app, ROUTES.listGymSamples, async ({ params, principal, query: { limit = 50, cursor, scenario } }) => {
    const run = await known(deps, principal.tenantId, params.id)
    if (cursor !== undefined && !/^[0-9]{1,9}$/.test(cursor)) throw badCursor()
    const found = await listSamples(deps.db, run.id, { scenario, after: Number(cursor ?? 0), limit: limit + 1 })
    const { items, nextCursor } = pageOf(found, limit, ({ ord }) => `${ord}`)
    return { items: items.map(({ ord: _, ...sample }) => sample), ...(nextCursor !== undefined && { nextCursor }) }
  })
}

/** A run of the tenant; not_found for any other, whoever it belongs to. */
export async function known({ db }: Pick<MoveDeps, 'db'>, tenantId: string, id: string): Promise<RunRecord> {
  const run = await findRun(db, tenantId, id)
  if (run === undefined) throw new AppError('not_found', { detail: `There is no run ${id}.` })
  return run
}

/** A run with the summary of its scenarios once it has ended. */
export async function readRun(deps: Pick<MoveDeps, 'db'>, tenantId: string, id: string): Promise<GymRun> {
  const run = await known(deps, tenantId, id)
  return run.endedAt === null ? viewRun(run) : viewRun(run, await readJudged(deps.db, run.id))
}

async function subjectsOf(
  { db }: RunRouteDeps,
  tenantId: string,
  asked: { suite: string; suiteVersion?: number; blueprint: string; blueprintVersion: string },
): Promise<{ suite: Suite; blueprint: BlueprintVersion }> {
  const [suite, blueprint] = await Promise.all([
    findSuite(db, tenantId, asked.suite, asked.suiteVersion ?? 'latest'),
    findBlueprint(db, tenantId, asked.blueprint, asked.blueprintVersion),
  ])
  if (suite === undefined)
    throw new AppError('not_found', { detail: `There is no suite ${asked.suite} of this version.` })
  if (blueprint === undefined) {
    const what = `${asked.blueprint}@${asked.blueprintVersion}`
    throw new AppError('not_found', { detail: `There is no blueprint ${what}.` })
  }
  return { suite, blueprint }
}

function sameRequest(run: RunRecord, requestHash: string): RunRecord {
  if (run.requestHash !== requestHash) throw new AppError('idempotency_mismatch')
  return run
}

function whyNotResumed(run: RunRecord): AppError {
  if (run.state === 'queued' || run.state === 'running')
    return new AppError('conflict', { detail: 'The run is under way.' })
  if (run.state === 'completed')
    return new AppError('conflict', { detail: 'The run has its verdict; start a new one.' })
  return new AppError('conflict', {
    detail: 'What the run had started is still being ended.',
    fix: 'Try again in a moment.',
    retryAfterMs: 1000,
  })
}
