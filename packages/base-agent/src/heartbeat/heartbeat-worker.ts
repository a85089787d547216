import { parentPort, workerData } from 'node:worker_threads'
import { BeatLoop } from './beat-loop.ts'
import { Lease } from './lease.ts'
import type { FromWorker, ToWorker, WorkerSettings } from './messages.ts'
import { TokenSource } from './token-source.ts'

// Beats from a thread of its own, so that a handler that computes for a minute does not look like a dead agent.
const settings = workerData as WorkerSettings
const lease = new Lease(settings.marginMs, settings.memory)
const tokens = new TokenSource(settings.tokenUrl, settings.credentials)
const beats = new BeatLoop(settings, lease, tokens, (message: FromWorker) => {
  parentPort?.postMessage(message)
})
parentPort?.on('message', (message: ToWorker) => {
  beats.setTasks(message.tasks)
})
await beats.run()
parentPort?.close()
