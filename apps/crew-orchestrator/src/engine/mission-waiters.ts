import type { Mission } from '@hypercode/contracts'
import { isMissionTerminal } from '../domain/states.ts'

export interface MissionWaitersOptions {
  read: (tenantId: string, id: string) => Promise<Mission | undefined>
  /** How often a waiting caller looks by itself: the end may have been seen by another replica while Redis was away. */
  pollMs: number
}

export interface WaitOrder {
  tenantId: string
  id: string
  waitMs: number
  signal: AbortSignal
}

export interface MissionWaiters {
  /** The mission as soon as it has ended, or as it is when the time is up; undefined when the tenant has no such mission. */
  wait(order: WaitOrder): Promise<Mission | undefined>
  /** These missions have ended, here or elsewhere. */
  ended(ids: readonly string[]): void
}

/** Callers that hold their answer until a mission ends. */
export function createMissionWaiters({ read, pollMs }: MissionWaitersOptions): MissionWaiters {
  const waiting = new Map<string, Set<() => void>>()

  const nextLook = async (id: string, ms: number, signal: AbortSignal): Promise<void> => {
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', done)
        const others = waiting.get(id)
        others?.delete(done)
        if (others?.size === 0) waiting.delete(id)
        resolve()
      }
      const timer = setTimeout(done, ms)
      signal.addEventListener('abort', done)
      waiting.set(id, (waiting.get(id) ?? new Set()).add(done))
      if (signal.aborted) done()
    })
  }

  return {
    async wait({ tenantId, id, waitMs, signal }) {
      const until = performance.now() + waitMs
      for (;;) {
        // Listen before looking: an end between the look and the listening would be missed.
        const left = until - performance.now()
        const listening = new AbortController()
        const stop = AbortSignal.any([signal, listening.signal])
        const told = nextLook(id, Math.max(0, Math.min(left, pollMs)), stop)
        const mission = await read(tenantId, id)
        if (mission === undefined || isMissionTerminal(mission.state) || left <= 0 || signal.aborted) {
          listening.abort()
          return mission
        }
        await told
      }
    },
    ended(ids) {
      for (const id of ids) for (const done of [...(waiting.get(id) ?? [])]) done()
    },
  }
}
