import { constants } from 'node:os'
import type { BoundedOutput } from './bounded-output.ts'
import { collectOutput } from './bounded-output.ts'
import type { Limits } from './command-limits.ts'
import { checkCommand } from './command-limits.ts'
import { SandboxUnavailable } from './errors.ts'
import { measureTree } from './process-tree.ts'
import type { SandboxCommand, SandboxResult } from './sandbox.ts'
import type { Bubblewrap, Ending, RunningCommand } from './start-bubblewrap.ts'
import { startBubblewrap } from './start-bubblewrap.ts'

/** How often the tree of processes is measured: what is allocated at full speed in this time is the error of the limit. */
const WATCH_MS = 20
/** A process that the kernel holds can outlive SIGKILL for a moment; nobody waits for ever. */
const KILL_WAIT_MS = 10_000

/** `Sandbox.run` on this bubblewrap. */
export async function runCommand(bubblewrap: Bubblewrap, command: SandboxCommand): Promise<SandboxResult> {
  const limits = checkCommand(command)
  command.signal?.throwIfAborted()
  const startedAt = performance.now()
  const running = startBubblewrap(bubblewrap, command, limits)
  const stdout = collectOutput(running.stdout, limits.outputMaxBytes)
  const stderr = collectOutput(running.stderr, limits.outputMaxBytes)
  const { ending, killedFor } = await endWithin(running, limits, command.signal)
  if (killedFor === 'abort') throw command.signal?.reason
  const durationMs = performance.now() - startedAt
  return { ...outcome(ending, killedFor, stderr), ...outputs(stdout, stderr), durationMs }
}

type KillReason = 'abort' | 'timeout' | 'memory' | 'processes'

/** Waits for the end, and brings it about when a limit or the caller says so. */
async function endWithin(
  running: RunningCommand,
  limits: Limits,
  signal: AbortSignal | undefined,
): Promise<{ ending: Ending; killedFor: KillReason | undefined }> {
  let killedFor: KillReason | undefined
  const stuck = Promise.withResolvers<never>()
  const timers: NodeJS.Timeout[] = []
  const kill = (reason: KillReason): void => {
    if (killedFor !== undefined) return
    killedFor = reason
    running.kill()
    const words = `the command did not end within ${KILL_WAIT_MS} ms of SIGKILL`
    timers.push(setTimeout(() => stuck.reject(new Error(words)), KILL_WAIT_MS))
  }
  const onAbort = (): void => kill('abort')
  signal?.addEventListener('abort', onAbort, { once: true })
  timers.push(setTimeout(() => kill('timeout'), limits.timeoutMs))
  timers.push(setInterval(() => watchLimits(running, limits, kill), WATCH_MS))
  try {
    return { ending: await Promise.race([running.ended, stuck.promise]), killedFor }
  } finally {
    signal?.removeEventListener('abort', onAbort)
    for (const timer of timers) clearTimeout(timer)
  }
}

/**
 * Limits of the kernel count one process each, and the number of processes not at all for root; all processes together are
 * counted here. bubblewrap itself is one of them.
 */
function watchLimits(running: RunningCommand, limits: Limits, kill: (reason: KillReason) => void): void {
  const { rootPid } = running
  if (rootPid === undefined) return
  // Of a tree in which processes begin and end all the time, a walk sees a part.
  if (running.hasRefusedProcesses()) {
    kill('processes')
    return
  }
  const { tasks, memoryBytes } = measureTree(rootPid, limits.processesMax + 1)
  if (tasks > limits.processesMax + 1) kill('processes')
  else if (memoryBytes > limits.memoryBytes) kill('memory')
}

type Outcome = Pick<SandboxResult, 'exitCode' | 'signal' | 'timedOut' | 'exceeded'>

function outcome({ signal, exitCode }: Ending, killedFor: KillReason | undefined, stderr: BoundedOutput): Outcome {
  if (killedFor === 'timeout') return { exitCode: null, signal: 'SIGKILL', timedOut: true }
  if (killedFor === 'memory' || killedFor === 'processes') {
    return { exitCode: null, signal: 'SIGKILL', timedOut: false, exceeded: killedFor }
  }
  if (signal !== null) return { exitCode: null, signal, timedOut: false }
  if (exitCode === undefined) {
    throw new SandboxUnavailable(`the sandbox could not be set up: ${stderr.text().trim().slice(-1_000)}`)
  }
  const signalName = signalOf(exitCode)
  return { exitCode: signalName === null ? exitCode : null, signal: signalName, timedOut: false }
}

function signalOf(exitCode: number): string | null {
  return Object.entries(constants.signals).find(([, number]) => exitCode === 128 + number)?.[0] ?? null
}

function outputs(stdout: BoundedOutput, stderr: BoundedOutput): Pick<SandboxResult, 'stdout' | 'stderr' | 'truncated'> {
  return { stdout: stdout.text(), stderr: stderr.text(), truncated: stdout.truncated || stderr.truncated }
}
