import { ApiError } from '@hypercode/client'
import type { HyperClient } from '@hypercode/client'
import { ROUTES } from '@hypercode/contracts'
import { gatherEvidence } from '../platform/evidence.ts'
import { isOutage } from '../platform/persist.ts'
import { ScoringFault, scoreSample } from '../scoring/index.ts'
import { saveLiveScore } from '../store/live.ts'
import type { LiveTask, LiveWatch } from '../store/live.ts'
import type { EngineDeps } from './run-context.ts'
import { scoreTools } from './score-tools.ts'

/** How long the platform may be away before the round is given up; the next one takes it up again. */
const AWAY_MS = 5000

/** Scores one production task. One that cannot be judged, through no fault of the agent, says nothing. */
export async function scoreLiveTask(
  deps: EngineDeps,
  client: HyperClient,
  watch: LiveWatch,
  { id, missionId }: LiveTask,
  signal: AbortSignal,
): Promise<void> {
  try {
    const [{ body: mission }, { body: task }] = await Promise.all([
      client.call(ROUTES.getMission, { params: { id: missionId }, signal }),
      client.call(ROUTES.getTask, { params: { id }, signal }),
    ])
    const own = { faultsInjected: [], since: task.startedAt ?? task.createdAt }
    const evidence = await gatherEvidence(client, mission, task, own, { awayMs: AWAY_MS, signal })
    const { latencyMs, usd } = evidence
    const scorers = watch.manifest.spec.live?.scorers ?? []
    const { passed, score, scores } = await scoreSample(evidence, scorers, scoreTools(deps, watch.manifest, signal))
    await saveLiveScore(deps.db, watch, { taskId: id, passed, score, scores, latencyMs, usd })
    deps.metrics.liveScores.inc({ passed: `${passed}` })
  } catch (error) {
    signal.throwIfAborted()
    // What is gone, or refused, stays so; an outage passes.
    if (isOutage(error) || !(error instanceof ScoringFault || error instanceof ApiError)) throw error
    deps.log.warn({ err: error, taskId: id, suite: watch.suite }, 'a production task could not be scored')
  }
}
