import { Worker } from 'node:worker_threads'
import type { Outcome } from './simulate.ts'
import type { Job } from './worker.ts'

export interface PoolOptions {
  seeds: readonly number[]
  events: number
  workers: number
  mutant?: string
  keepsTrace?: boolean
  /** Called for each seed as it ends; false ends the run. */
  onOutcome: (outcome: Outcome) => boolean
}

const CHUNK = 20

/** Runs seeds in threads, each of which has sources (and a mutant) of its own. */
export async function runPool(options: PoolOptions): Promise<void> {
  const { workers, seeds } = options
  const left = [...seeds]
  let isOver = false
  const next = (): Job | undefined => {
    const chunk = isOver ? [] : left.splice(0, CHUNK)
    return chunk.length === 0
      ? undefined
      : { seeds: chunk, events: options.events, keepsTrace: options.keepsTrace ?? false }
  }
  const onOutcome = (outcome: Outcome): void => {
    if (!isOver && !options.onOutcome(outcome)) isOver = true
  }
  await Promise.all(
    Array.from({ length: Math.min(workers, seeds.length) }, async () =>
      drive(options.mutant, next, onOutcome, () => isOver),
    ),
  )
}

async function drive(
  mutant: string | undefined,
  next: () => Job | undefined,
  onOutcome: (outcome: Outcome) => void,
  isOver: () => boolean,
): Promise<void> {
  const worker = new Worker(new URL('worker.ts', import.meta.url), {
    workerData: { mutant },
    execArgv: ['--conditions=@hypercode/source'],
  })
  try {
    await new Promise<void>((resolve, reject) => {
      const more = (): void => {
        const job = next()
        if (job === undefined) resolve()
        else worker.postMessage(job)
      }
      worker.once('error', reject)
      worker.on('message', (message: Outcome | 'done') => {
        if (message === 'done') more()
        else {
          onOutcome(message)
          if (isOver()) resolve()
        }
      })
      more()
    })
  } finally {
    await worker.terminate()
  }
}
