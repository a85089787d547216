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
  /** True for a mission that was open a moment ago, as one that was just submitted: the first look would tell nothing. */
  isOpen?: boolean
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

  /** Resolves `told` after `ms`, at the end of the mission, or when the caller is gone; `cancel` stops listening. */
  const listen = (id: string, ms: number, signal: AbortSignal): { told: Promise<void>; cancel: () => void } => {
    const { promise: told, resolve } = Promise.withResolvers<void>()
    const listeners = waiting.get(id) ?? new Set()
    const cancel = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', cancel)
      listeners.delete(cancel)
      if (listeners.size === 0 && waiting.get(id) === listeners) waiting.delete(id)
      resolve()
    }
    const timer = setTimeout(cancel, ms)
    signal.addEventListener('abort', cancel)
    waiting.set(id, listeners.add(cancel))
    if (signal.aborted) cancel()
    return { told, cancel }
  }

  return {
    async wait({ tenantId, id, waitMs, signal, isOpen = false }) {
      const until = performance.now() + waitMs
      for (let skip = isOpen && waitMs > 0; ; skip = false) {
        // Listen before looking: an end between the look and the listening would be missed.
        const left = until - performance.now()
        const { told, cancel } = listen(id, Math.max(0, Math.min(left, pollMs)), signal)
        if (!skip) {
          const mission = await read(tenantId, id)
          if (mission === undefined || isMissionTerminal(mission.state) || left <= 0 || signal.aborted) {
            cancel()
            return mission
          }
        }
        await told
      }
    },
    ended(ids) {
      for (const id of ids) for (const done of [...(waiting.get(id) ?? [])]) done()
    },
  }
}
