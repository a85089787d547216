import { setTimeout as sleep } from 'node:timers/promises'
import { areEmpty, killCgroups } from './cgroup.ts'
import { launchProcesses, processesAtHome, signalPid } from './processes.ts'
import type { Identity } from './processes.ts'

const GONE_WITHIN_MS = 10_000
const LOOK_EVERY_MS = 10

/** By what the processes of a launch are found. */
export interface Traces {
  readonly agent: Identity | undefined
  /** Absolute paths of its control groups. */
  readonly cgroups: readonly string[]
  /** The folder where the agent is at home. */
  readonly home: string
}

/**
 * Ends every process of a launch, also those that ignore signals, have left the group or are forked meanwhile. Resolves
 * when the last one is gone; that there is none is fine.
 *
 * @throws when the kernel does not let go of one (a dead network disk, for example)
 */
export async function killLaunch({ agent, cgroups, home }: Traces): Promise<void> {
  const deadline = performance.now() + GONE_WITHIN_MS
  for (;;) {
    killCgroups(cgroups)
    const left = [...(agent === undefined ? [] : launchProcesses(agent)), ...processesAtHome(home)]
    for (const { pid } of left) signalPid(pid, 'SIGKILL')
    if (left.length === 0 && areEmpty(cgroups)) return
    if (performance.now() > deadline) {
      const pids = left.map(({ pid }) => pid).join(', ')
      throw new Error(`processes ${pids} do not end ${GONE_WITHIN_MS} ms after SIGKILL`)
    }
    await sleep(LOOK_EVERY_MS)
  }
}
