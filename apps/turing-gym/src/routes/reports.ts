import { ROUTES } from '@hypercode/contracts'
import type { GymComparison } from '@hypercode/contracts'
import type { Db } from '@hypercode/db'
import { AppError, implement } from '@hypercode/http'
import type { ServiceApp } from '@hypercode/http'
import { renderReport } from '../report/index.ts'
import { compareRuns } from '../statistics/index.ts'
import { readForReport, readJudged } from '../store/report-samples.ts'
import { known, readRun } from './runs.ts'

export function reportRoutes(app: ServiceApp, { db }: { db: Db }): void {
  implement(app, ROUTES.getGymReport, async ({ params: { id }, principal: { tenantId }, query }, reply) => {
    const run = await readRun({ db }, tenantId, id)
    const comparison = query.with === undefined ? undefined : await compare(db, tenantId, id, query.with)
    const samples = await readForReport(db, id)
    const report = renderReport(
      { run, samples, ...(comparison !== undefined && { comparison }) },
      query.format ?? 'json',
    )
    reply.header('content-type', report.contentType).header('x-content-type-options', 'nosniff')
    if (report.contentSecurityPolicy !== undefined)
      reply.header('content-security-policy', report.contentSecurityPolicy)
    return reply.send(Buffer.from(report.body))
  })

  implement(app, ROUTES.compareGymRuns, async ({ params: { id }, principal: { tenantId }, query }) => {
    return await compare(db, tenantId, id, query.with)
  })
}

/** Runs of one suite can be compared, whatever their versions: scenarios that only one of them has are told as such. */
async function compare(db: Db, tenantId: string, id: string, baselineId: string): Promise<GymComparison> {
  const [run, baseline] = await Promise.all([known({ db }, tenantId, id), known({ db }, tenantId, baselineId)])
  if (run.suite !== baseline.suite) {
    throw new AppError('unprocessable', { detail: `The runs are of the suites ${run.suite} and ${baseline.suite}.` })
  }
  const [samples, before] = await Promise.all([readJudged(db, run.id), readJudged(db, baseline.id)])
  return compareRuns({ id: run.id, samples }, { id: baseline.id, samples: before })
}
