import { Worker } from 'node:worker_threads'
import type { HeartbeatAnswer } from '@hypercode/contracts'
import type { Logger } from '@hypercode/telemetry'
import { TICK_MS } from './lease.ts'
import type { Lease } from './lease.ts'
import type { FromWorker, TaskRef, ToWorker, WorkerSettings } from './messages.ts'

export interface HeartbeatOptions {
  readonly lease: Lease
  readonly settings: WorkerSettings
  readonly log: Logger
  readonly onAnswer: (answer: HeartbeatAnswer) => void
  /** The lease is over, for whatever reason; told once. */
  readonly onOver: (state: 'lost' | 'fenced', detail: string) => void
}

export interface Heartbeat {
  /** Tells the platform with the next beat which attempts are in flight. */
  setTasks(tasks: readonly TaskRef[]): void
  stop(): Promise<void>
}

/**
 * Starts the heartbeat of one incarnation in a worker thread. Its end is noticed in three ways, whichever is first: the
 * worker says so, the main thread finds the lease over by its own clock, or a write is refused as fenced.
 */
export function startHeartbeat(options: HeartbeatOptions): Heartbeat {
  const { lease, log } = options
  let tasks: readonly TaskRef[] = []
  let worker: Worker | undefined
  let restart: NodeJS.Timeout | undefined
  let told = false

  const over = (state: 'lost' | 'fenced', detail: string): void => {
    if (told) return
    told = true
    clearInterval(ticking)
    options.onOver(state, detail)
  }
  const onMessage = (message: FromWorker): void => {
    if (told) return
    if (message.type === 'beat') options.onAnswer(message.answer)
    else if (message.type === 'over') over(message.state, message.detail)
    else log.warn({ failures: message.failures, detail: message.detail }, 'heartbeat was not answered')
  }
  const start = (): void => {
    const started = new Worker(WORKER, { workerData: options.settings, execArgv: [] })
    worker = started
    started.unref()
    started.on('message', onMessage)
    started.on('error', (error) => {
      log.error({ err: error }, 'the heartbeat thread failed')
    })
    started.on('exit', () => {
      if (told || !lease.alive || worker !== started) return
      restart = setTimeout(start, RESTART_MS).unref()
    })
    send()
  }
  const send = (): void => worker?.postMessage({ type: 'tasks', tasks } satisfies ToWorker)
  const ticking = setInterval(() => {
    lease.tick()
    if (lease.alive) return
    const { state } = lease
    lease.end('lost')
    over(state === 'fenced' ? 'fenced' : 'lost', 'the lease has run out')
  }, TICK_MS).unref()

  lease.tick()
  start()
  return {
    setTasks: (next) => {
      tasks = next
      send()
    },
    stop: async () => {
      told = true
      clearInterval(ticking)
      clearTimeout(restart)
      await worker?.terminate()
    },
  }
}

/** A worker that cannot even start must not keep the main thread busy; the lease bounds how long this goes on. */
const RESTART_MS = 500

// The compiler rewrites the endings of imports, but not of this one: it is a source file in development, built elsewhere.
const WORKER = new URL(
  import.meta.url.endsWith('.ts') ? './heartbeat-worker.ts' : './heartbeat-worker.js',
  import.meta.url,
)
