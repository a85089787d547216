import { newId } from '@hypercode/contracts'
import { noteTrouble, releaseRun, renewRuns, takeRuns } from '../store/run-leases.ts'
import type { RunRecord } from '../store/runs.ts'
import { driveRun } from './drive-run.ts'
import type { EngineDeps } from './run-context.ts'

export interface Engine {
  /** One look: keeps what is in hand, notices what was canceled, and takes what is free. */
  turn(): Promise<void>
  /** Lets go of everything, so that another process, or this one after its restart, goes on at once. */
  stop(): Promise<void>
}

interface InHand {
  readonly work: AbortController
  readonly hold: AbortController
  /** Lets go when the lease was not renewed in time: by then another process may have it. */
  readonly fuse: NodeJS.Timeout
  readonly done: Promise<void>
}

const LOST = new Error('the run is in other hands')
const CANCELED = new Error('the run has ended')
const STOPPED = new Error('the gym is stopping')

/** Carries runs out. Every replica has one; a run is in the hands of whoever holds its lease. */
export function createEngine(deps: EngineDeps): Engine {
  const { db, log, metrics, settings } = deps
  const { leaseMs, runsMax } = settings
  const owner = newId()
  const inHand = new Map<string, InHand>()
  let stopping = false

  function begin(run: RunRecord): void {
    log.info({ runId: run.id, state: run.state, strikes: run.strikes }, 'run taken')
    const hold = new AbortController()
    const work = new AbortController()
    hold.signal.addEventListener('abort', () => work.abort(hold.signal.reason))
    const fuse = setTimeout(() => hold.abort(LOST), leaseMs)
    const done = drive(run, { work: work.signal, hold: hold.signal }).finally(() => {
      clearTimeout(fuse)
      inHand.delete(run.id)
      metrics.running.set({}, inHand.size)
    })
    inHand.set(run.id, { work, hold, fuse, done })
    metrics.running.set({}, inHand.size)
  }

  async function drive(run: RunRecord, reins: { work: AbortSignal; hold: AbortSignal }): Promise<void> {
    try {
      await driveRun(deps, owner, run, reins)
    } catch (err) {
      if (reins.hold.aborted) {
        log.info({ runId: run.id, reason: String(reins.hold.reason) }, 'run let go')
        return
      }
      // The lease stays and runs out: that is the pause before the next one tries.
      log.error({ err, runId: run.id }, 'run not carried out, to be tried again')
      await leaveWord(run.id, err)
    }
  }

  async function leaveWord(runId: string, error: unknown): Promise<void> {
    try {
      await noteTrouble(db, owner, runId, error instanceof Error ? error.message : String(error))
    } catch (err) {
      log.warn({ err, runId }, 'the trouble of a run was not noted')
    }
  }

  async function keep(): Promise<void> {
    const held = [...inHand.keys()]
    const renewed = new Map((await renewRuns(db, owner, leaseMs, held)).map((run) => [run.id, run]))
    for (const id of held) {
      const one = inHand.get(id)
      const run = renewed.get(id)
      if (one === undefined) continue
      if (run === undefined) one.hold.abort(LOST)
      else one.fuse.refresh()
      if (run !== undefined && run.endedAt !== null) one.work.abort(CANCELED)
    }
  }

  return {
    async turn() {
      if (inHand.size > 0) await keep()
      const room = runsMax - inHand.size
      if (room <= 0 || stopping) return
      for (const run of await takeRuns(db, owner, leaseMs, room)) begin(run)
    },
    async stop() {
      stopping = true
      const held = [...inHand]
      for (const [, one] of held) one.hold.abort(STOPPED)
      await Promise.all(held.map(async ([, one]) => await one.done))
      await Promise.all(held.map(async ([id]) => await releaseRun(db, owner, id)))
    },
  }
}
