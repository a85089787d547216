import { rm } from 'node:fs/promises'
import type { HyperClient } from '@hypercode/client'
import { poolPrefix } from '../domain/sample-mission.ts'
import { cancel } from '../platform/mission.ts'
import { endPools } from '../platform/pool.ts'
import { findBlueprint } from '../store/blueprints.ts'
import { endRun } from '../store/run-moves.ts'
import { markCleaned, renewRuns } from '../store/run-leases.ts'
import type { RunRecord } from '../store/runs.ts'
import { openMissions } from '../store/samples.ts'
import { findSuite } from '../store/suites.ts'
import { runFolder } from '../workspace/sample-folder.ts'
import { carryOut } from './carry-out.ts'
import { RunLost } from './run-context.ts'
import type { EngineDeps } from './run-context.ts'

/** How far a run in hand may go on. */
export interface Reins {
  /** Aborted when the run was canceled, and with `hold`. */
  readonly work: AbortSignal
  /** Aborted when the run is no longer ours: another one carries it on, or this process ends. */
  readonly hold: AbortSignal
}

/**
 * Carries a run out from where it is to its end, and then ends everything that it has started. Every part may be repeated, so that another
 * process can go on from any point.
 */
export async function driveRun(deps: EngineDeps, owner: string, run: RunRecord, { work, hold }: Reins): Promise<void> {
  const client = await deps.identity.open(run.tenantId)
  try {
    if (run.endedAt === null) await toItsEnd(deps, owner, run, client, work)
    hold.throwIfAborted()
    // What another process carries on must not be cleaned up.
    const [held] = await renewRuns(deps.db, owner, deps.settings.leaseMs, [run.id])
    if (held === undefined || held.endedAt === null) throw new RunLost('the run goes on without us')
    await cleanUp(deps, run, client, hold)
    await markCleaned(deps.db, owner, run.id)
  } finally {
    await client.close()
  }
}

/** Returns when the run has ended, whoever has ended it; throws when it goes on without us, or has to be tried again. */
async function toItsEnd(
  deps: EngineDeps,
  owner: string,
  run: RunRecord,
  client: HyperClient,
  work: AbortSignal,
): Promise<void> {
  const { db } = deps
  const [suite, blueprint] = await Promise.all([
    findSuite(db, run.tenantId, run.suite, run.suiteVersion),
    findBlueprint(db, run.tenantId, run.blueprint, `${run.blueprintVersion}`),
  ])
  if (suite === undefined || blueprint === undefined) throw new Error('the suite or the blueprint of the run is gone')
  try {
    const ctx = { deps, db, owner, run, suite: suite.manifest, blueprint, client }
    const end = await carryOut(ctx, work)
    const ended = await endRun(deps, run, owner, end)
    if (ended === undefined) return
    deps.metrics.runs.inc({
      end: end.state === 'failed' ? 'failed' : end.verdict === 'failed' ? 'failed_verdict' : end.verdict,
    })
    deps.log.info({ runId: run.id, ...end }, 'run ended')
  } catch (error) {
    // Canceled: what was thrown is only how the work came to a stop.
    if (!(error instanceof RunLost) && !work.aborted) throw error
  }
}

const CANCELS_AT_A_TIME = 8

async function cleanUp(deps: EngineDeps, run: RunRecord, client: HyperClient, signal: AbortSignal): Promise<void> {
  const { db, settings } = deps
  const bounds = { awayMs: settings.readyMs, readyMs: settings.readyMs, signal }
  const open = await openMissions(db, run.id)
  for (let from = 0; from < open.length; from += CANCELS_AT_A_TIME) {
    const some = open.slice(from, from + CANCELS_AT_A_TIME)
    await Promise.all(some.map(async (id) => await cancel(client, id, 'the gym run has ended', bounds)))
  }
  await endPools(client, run.blueprint, poolPrefix(run.id), bounds)
  await rm(runFolder(settings.folder, run.id), { recursive: true, force: true })
}
