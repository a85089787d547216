import { fork } from 'node:child_process'
import path from 'node:path'
import type { Entry } from './entries.ts'
import type { WorkloadName } from './workloads.ts'

export interface Run {
  readonly entry: Entry
  readonly share: number
  readonly workloads: readonly WorkloadName[]
  readonly onSettings: (settings: Readonly<Record<string, string>>) => void
  readonly onFigure: (workload: WorkloadName, figure: number) => void
  /** Aborted: the contender stops its servers and goes. */
  readonly signal: AbortSignal
}

type Told = { settings: Readonly<Record<string, string>> } | { workload: WorkloadName; figure: number }

/** How long it may say nothing: the slowest workload of the slowest contender takes a third of that. */
const SILENCE_MS = 120_000
const STOP_MS = 20_000

/** Runs one contender from its start to its end; when it resolves, nothing of it runs any more. */
export async function runContender({ entry, share, workloads, onSettings, onFigure, signal }: Run): Promise<void> {
  const args = [entry.file, entry.variant, String(share), ...workloads]
  const child = fork(path.join(import.meta.dirname, 'run-contender.ts'), args, {
    execArgv: ['--conditions=@hypercode/source'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    // Ctrl-C comes to us alone, and from us by the channel.
    detached: true,
  })
  let why: string | undefined
  let force: NodeJS.Timeout | undefined
  const giveUp = (reason: string): void => {
    why ??= reason
    if (child.connected) child.disconnect()
    force ??= setTimeout(() => child.kill('SIGKILL'), STOP_MS)
  }
  const onAbort = (): void => giveUp('it was interrupted')
  signal.addEventListener('abort', onAbort, { once: true })
  const silence = setTimeout(() => giveUp(`it said nothing for ${SILENCE_MS / 1000} s`), SILENCE_MS)
  child.on('message', (message) => {
    silence.refresh()
    const told = message as Told
    if ('settings' in told) onSettings(told.settings)
    else onFigure(told.workload, told.figure)
  })
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', resolve)
  })
  clearTimeout(silence)
  clearTimeout(force)
  signal.removeEventListener('abort', onAbort)
  if (code !== 0) throw new Error(`${entry.label}: ${why ?? `ended with ${code}`}`)
}
