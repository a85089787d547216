import { setTimeout as sleep } from 'node:timers/promises'
import type { ServerHandle } from '@hypercode/local-stack'
import { signalTree } from '@hypercode/testkit/tools'
import type { ServiceProcess } from '@hypercode/testkit/tools'

export type VictimKind = 'gateway' | 'registry' | 'orchestrator' | 'agents' | 'redis' | 'pgbouncer' | 'postgres'

/** A process that a storm may kill or freeze, with the supervisor that brings it back. One fault at a time. */
export interface Victim {
  readonly name: string
  readonly kind: VictimKind
  readonly busy: boolean
  /** Kills it, and starts it again after a while; resolves when it runs. */
  kill(downMs: number): Promise<void>
  /** Stops it in mid-air and lets it go on; resolves when it goes on. */
  freeze(forMs: number): Promise<void>
}

interface Handle {
  readonly name: string
  readonly kind: VictimKind
  readonly end: () => Promise<void>
  readonly start: () => Promise<void>
  readonly pid: () => number
}

const RESTART_TRIES = 20

export function serviceVictim(kind: VictimKind, name: string, service: ServiceProcess): Victim {
  const end = async (): Promise<void> => {
    service.kill('SIGKILL')
    await service.exited
  }
  return victimOf({ kind, name, end, start: async () => await service.restart(), pid: () => service.pid })
}

export function serverVictim(server: ServerHandle): Victim {
  const end = async (): Promise<void> => {
    await server.kill('SIGKILL')
    await server.waitGone(5000)
  }
  const start = async (): Promise<void> => await server.restart()
  return victimOf({ kind: server.name, name: server.name, end, start, pid: () => server.pid ?? 0 })
}

function victimOf({ kind, name, end, start, pid }: Handle): Victim {
  let busy = false
  const alone = async (fault: () => Promise<void>): Promise<void> => {
    if (busy) return
    busy = true
    try {
      await fault()
    } finally {
      busy = false
    }
  }
  return {
    name,
    kind,
    get busy() {
      return busy
    },
    kill: async (downMs) =>
      await alone(async () => {
        await end()
        await sleep(downMs)
        await persist(start)
      }),
    freeze: async (forMs) =>
      await alone(async () => {
        const frozen = pid()
        signalTree(frozen, 'SIGSTOP')
        await sleep(forMs)
        signalTree(frozen, 'SIGCONT')
      }),
  }
}

/** Something that it needs may be down as well: tries again, as a supervisor does. */
async function persist(start: () => Promise<void>): Promise<void> {
  for (let left = RESTART_TRIES; ; left -= 1) {
    try {
      return await start()
    } catch (error) {
      if (left === 0) throw error
      await sleep(500)
    }
  }
}
