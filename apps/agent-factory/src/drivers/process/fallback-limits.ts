import { availableParallelism } from 'node:os'
import { hasProc, launchProcesses, memoryOf, signalPid } from './processes.ts'
import type { Identity, ProcessEntry } from './processes.ts'

const LOOK_EVERY_MS = 100
/** How much processor time may be saved up, in looks. */
const SAVED_LOOKS_MAX = 2

export interface FallbackOptions {
  readonly agent: Identity
  /** Undefined when the kernel enforces it. */
  readonly cpu: number | undefined
  readonly memoryBytes: number | undefined
  /** Called when all processes of the launch together hold more than `memoryBytes`. */
  readonly onTooMuchMemory: () => void
}

/** Whether pausing can hold processes to `cpu` cores: only where their processor time can be read. */
export const canPause = hasProc

/**
 * Limits where there are no control groups. Memory is measured ten times a second, so a fast eater gets further than its
 * limit for a moment. Processor time is measured as often; who has used more than its share is stopped (SIGSTOP) until it
 * has waited long enough. Answers how to end it.
 */
export function enforceByWatching({ agent, cpu, memoryBytes, onTooMuchMemory }: FallbackOptions): () => void {
  const pauses = cpu !== undefined && canPause && cpu < availableParallelism()
  if (!pauses && memoryBytes === undefined) return () => undefined
  const brake = createBrake(cpu ?? 0)
  const timer = setInterval(() => {
    const entries = launchProcesses(agent)
    if (memoryBytes !== undefined && memoryOf(entries) > memoryBytes) onTooMuchMemory()
    if (pauses) brake(entries)
  }, LOOK_EVERY_MS)
  return () => clearInterval(timer)
}

function createBrake(cpu: number): (entries: readonly ProcessEntry[]) => void {
  let balanceMs = 0
  let usedMs = 0
  let lookedAt = performance.now()
  let paused = false
  return (entries) => {
    const now = performance.now()
    const used = entries.reduce((sum, entry) => sum + (entry.cpuMs ?? 0), 0)
    const earned = cpu * (now - lookedAt)
    // What a process has used goes to its parent when it ends; what nobody waited for is forgiven.
    balanceMs = Math.min(SAVED_LOOKS_MAX * cpu * LOOK_EVERY_MS, balanceMs + earned - Math.max(0, used - usedMs))
    usedMs = used
    lookedAt = now
    const pause = balanceMs < 0
    // One that was forked since the last look may have missed the signal, so it is sent again.
    if (pause || paused) for (const { pid } of entries) signalPid(pid, pause ? 'SIGSTOP' : 'SIGCONT')
    paused = pause
  }
}
