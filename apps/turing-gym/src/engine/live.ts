import { newId } from '@hypercode/contracts'
import { isSampled } from '../domain/live-verdict.ts'
import { listWatches, lookForTasks, moveWatch, takeWatch } from '../store/live.ts'
import type { LiveTask, LiveWatch } from '../store/live.ts'
import { judgeStableVersion } from './judge-live.ts'
import type { EngineDeps } from './run-context.ts'
import { scoreLiveTask } from './score-live-task.ts'

export interface LiveScoring {
  /** Begins a round unless one is under way; a slow judge then holds up no loop. */
  turn(): Promise<void>
  stop(): Promise<void>
}

/** Tasks of one watch that are scored in one round; the rest waits for the next one. */
const SCORED_MAX = 20
const LEASE_MS = 120_000

/** Scores a share of what stable versions do in production, and takes back those that fail the rule of their suite. */
export function createLiveScoring(deps: EngineDeps, secret: string): LiveScoring {
  const { db, log } = deps
  const owner = newId()
  const stopping = new AbortController()
  const { signal } = stopping
  let underWay: Promise<void> | undefined

  async function round(): Promise<void> {
    for (const watch of await listWatches(db)) {
      if (signal.aborted) return
      if (!(await takeWatch(db, watch, { owner, leaseMs: LEASE_MS }))) continue
      try {
        await serve(watch)
      } catch (err) {
        if (!signal.aborted)
          log.warn({ err, blueprint: watch.blueprint, suite: watch.suite }, 'live scoring goes on later')
      }
    }
  }

  /** One look at one version. The place up to which it has looked moves only behind what is done. */
  async function serve(watch: LiveWatch): Promise<void> {
    const share = watch.manifest.spec.live?.sample ?? 0
    const { tasks, last } = await lookForTasks(db, watch)
    const chosen = tasks.filter(({ id }) => isSampled(secret, id, share))
    const now = chosen.slice(0, SCORED_MAX)
    if (now.length > 0) await scoreAll(watch, now)
    if (last !== undefined && now.length === chosen.length) await moveWatch(db, watch, owner, last)
  }

  async function scoreAll(watch: LiveWatch, tasks: readonly LiveTask[]): Promise<void> {
    const client = await deps.identity.open(watch.tenantId)
    try {
      for (const task of tasks) {
        await scoreLiveTask(deps, client, watch, task, signal)
        await moveWatch(db, watch, owner, task.id)
      }
      await judgeStableVersion(deps, client, watch, signal)
    } finally {
      await client.close()
    }
  }

  async function logged(): Promise<void> {
    try {
      await round()
    } catch (err) {
      if (!signal.aborted) log.error({ err }, 'round of live scoring failed')
    }
  }

  return {
    async turn() {
      underWay ??= logged().finally(() => {
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
