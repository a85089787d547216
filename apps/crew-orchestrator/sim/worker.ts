/** A thread that runs seeds: it gets its mutant once, and then ranges of seeds. */
import { parentPort, workerData } from 'node:worker_threads'
import { installHooks } from './hooks.ts'
import { MUTANTS } from './mutants.ts'

export interface Job {
  seeds: readonly number[]
  events: number
  keepsTrace: boolean
}

const { mutant } = workerData as { mutant: string | undefined }
installHooks(MUTANTS.find((one) => one.name === mutant))
// Only now: what it imports goes through the hooks.
const { simulate } = await import('./simulate.ts')

parentPort?.on('message', (job: Job) => {
  run(job).catch((error: unknown) => {
    setImmediate(() => {
      throw error
    })
  })
})

async function run({ seeds, events, keepsTrace }: Job): Promise<void> {
  for (const seed of seeds) parentPort?.postMessage(await simulate({ seed, events, keepsTrace }))
  parentPort?.postMessage('done')
}
