import type { HyperClient } from '@hypercode/client'
import { ROUTES, newId } from '@hypercode/contracts'
import { inTransaction, writeAudit } from '@hypercode/db'
import { isSampled, judgeLive } from '../domain/live-verdict.ts'
import { gatherEvidence } from '../platform/evidence.ts'
import { isOutage } from '../platform/persist.ts'
import { ScoringFault, scoreSample } from '../scoring/index.ts'
import {
  isStable,
  listWatches,
  lookForTasks,
  moveWatch,
  readLiveScores,
  saveLiveScore,
  takeWatch,
} from '../store/live.ts'
import type { LiveTask, LiveWatch } from '../store/live.ts'
import { SYSTEM } from '../store/run-moves.ts'
import type { EngineDeps } from './run-context.ts'
import { scoreTools } from './score-tools.ts'

export interface LiveScoring {
  /** Begins a round unless one is under way; a slow judge then holds up no loop. */
  turn(): Promise<void>
  /** One round: scores what has ended, and demotes what fails. */
  round(signal: AbortSignal): Promise<void>
  stop(): Promise<void>
}

/** Tasks of one watch that are scored in one round; the rest waits for the next one. */
const SCORED_MAX = 20
/** How long the platform may be away before the round is given up; the next one takes it up again. */
const AWAY_MS = 5000
const LEASE_MS = 120_000
const REASON_MAX = 1000

/** Scores a share of what stable versions do in production, and takes back those that fail the rule of their suite. */
export function createLiveScoring(deps: EngineDeps, secret: string): LiveScoring {
  const { db, log } = deps
  const owner = newId()
  const stopping = new AbortController()
  let underWay: Promise<void> | undefined

  async function round(signal: AbortSignal): Promise<void> {
    for (const watch of await listWatches(db)) {
      signal.throwIfAborted()
      if (!(await takeWatch(db, watch, { owner, leaseMs: LEASE_MS }))) continue
      try {
        await serve(watch, signal)
      } catch (err) {
        signal.throwIfAborted()
        log.warn({ err, blueprint: watch.blueprint, suite: watch.suite }, 'live scoring goes on later')
      }
    }
  }

  async function serve(watch: LiveWatch, signal: AbortSignal): Promise<void> {
    const { live } = watch.manifest.spec
    if (live === undefined) return
    const { tasks, last } = await lookForTasks(db, watch)
    if (last === undefined) return
    const chosen = tasks.filter(({ id }) => isSampled(secret, id, live.sample))
    const now = chosen.slice(0, SCORED_MAX)
    if (now.length > 0) {
      const client = await deps.identity.open(watch.tenantId)
      try {
        for (const task of now) {
          await scoreOne(client, watch, task, signal)
          await moveWatch(db, watch, owner, task.id)
        }
        await judge(client, watch, signal)
      } finally {
        await client.close()
      }
    }
    if (now.length === chosen.length) await moveWatch(db, watch, owner, last)
  }

  /** A task that cannot be judged, through no fault of the agent, says nothing. */
  async function scoreOne(
    client: HyperClient,
    watch: LiveWatch,
    { id, missionId }: LiveTask,
    signal: AbortSignal,
  ): Promise<void> {
    const bounds = { awayMs: AWAY_MS, signal }
    const [{ body: mission }, { body: task }] = await Promise.all([
      client.call(ROUTES.getMission, { params: { id: missionId }, signal }),
      client.call(ROUTES.getTask, { params: { id }, signal }),
    ])
    const own = { faultsInjected: [], since: task.startedAt ?? task.createdAt }
    try {
      const evidence = await gatherEvidence(client, mission, task, own, bounds)
      const { live } = watch.manifest.spec
      const { passed, score, scores } = await scoreSample(
        evidence,
        live?.scorers ?? [],
        scoreTools(deps, watch.manifest, signal),
      )
      await saveLiveScore(db, watch, {
        taskId: id,
        passed,
        score,
        scores,
        latencyMs: evidence.latencyMs,
        usd: evidence.usd,
      })
      deps.metrics.liveScores.inc({ passed: `${passed}` })
    } catch (error) {
      signal.throwIfAborted()
      if (isOutage(error) || !(error instanceof ScoringFault)) throw error
      log.warn({ err: error, taskId: id, suite: watch.suite }, 'a production task could not be scored')
    }
  }

  async function judge(client: HyperClient, watch: LiveWatch, signal: AbortSignal): Promise<void> {
    const { live } = watch.manifest.spec
    if (live === undefined) return
    const { verdict, reasons } = judgeLive(live.rule, await readLiveScores(db, watch))
    if (verdict !== 'failed' || !(await isStable(db, watch))) return
    const { blueprint, blueprintVersion, blueprintHash, suite, suiteVersion, tenantId } = watch
    const reason = `${blueprint}@${blueprintVersion} failed the live rule of ${suite}@${suiteVersion} in production: ${reasons.join(' ')}`
    await inTransaction(db, async (trx) => {
      const detail = { blueprint, blueprintVersion, blueprintHash, suite, suiteVersion, verdict, reasons }
      await writeAudit(trx, [{ tenantId, actor: SYSTEM, action: 'gym.live.failed', ref: blueprint, detail }])
    })
    await client.call(ROUTES.demoteBlueprint, {
      params: { name: blueprint },
      body: { reason: reason.slice(0, REASON_MAX) },
      signal,
    })
    deps.metrics.demotions.inc({})
    log.warn({ blueprint, version: blueprintVersion, reason }, 'demoted by live scores')
  }

  return {
    round,
    async turn() {
      underWay ??= round(stopping.signal)
        .catch((err: unknown) => {
          if (!stopping.signal.aborted) log.error({ err }, 'round of live scoring failed')
        })
        .finally(() => {
          underWay = undefined
        })
      await Promise.resolve()
    },
    async stop() {
      stopping.abort(new Error('the gym is stopping'))
      await underWay
    },
  }
}
