import { ApiError } from '@hypercode/client'
import type { HyperClient } from '@hypercode/client'
import { ROUTES } from '@hypercode/contracts'
import { inTransaction, writeAudit } from '@hypercode/db'
import { judgeLive } from '../domain/live-verdict.ts'
import { isStable, readLiveScores } from '../store/live.ts'
import type { LiveWatch } from '../store/live.ts'
import { SYSTEM } from '../store/run-moves.ts'
import type { EngineDeps } from './run-context.ts'

/** As long as the reason of a demotion may be. */
const REASON_MAX = 1000

/** Applies the live rule of a suite to a stable version, and demotes it when it fails. */
export async function judgeStableVersion(
  { db, log, metrics }: EngineDeps,
  client: HyperClient,
  watch: LiveWatch,
  signal: AbortSignal,
): Promise<void> {
  const { live } = watch.manifest.spec
  if (live === undefined) return
  const { verdict, reasons } = judgeLive(live.rule, await readLiveScores(db, watch))
  if (verdict !== 'failed' || !(await isStable(db, watch))) return
  const { blueprint, blueprintVersion, blueprintHash, suite, suiteVersion, tenantId } = watch
  const version = `${blueprint}@${blueprintVersion}`
  const reason = `${version} failed the live rule of ${suite}@${suiteVersion} in production: ${reasons.join(' ')}`
  await inTransaction(db, async (trx) => {
    const detail = { blueprint, blueprintVersion, blueprintHash, suite, suiteVersion, verdict, reasons }
    await writeAudit(trx, [{ tenantId, actor: SYSTEM, action: 'gym.live.failed', ref: version, detail }])
  })
  if (!(await demote(client, watch, reason, signal))) return
  metrics.demotions.inc({})
  log.warn({ blueprint, version: blueprintVersion, reason }, 'demoted by live scores')
}

/** False when another version was made stable in the meantime. */
async function demote(client: HyperClient, watch: LiveWatch, reason: string, signal: AbortSignal): Promise<boolean> {
  const body = { reason: reason.slice(0, REASON_MAX), version: watch.blueprintVersion }
  try {
    await client.call(ROUTES.demoteBlueprint, { params: { name: watch.blueprint }, body, signal })
    return true
  } catch (error) {
    if (error instanceof ApiError && error.status === 409) return false
    throw error
  }
}
