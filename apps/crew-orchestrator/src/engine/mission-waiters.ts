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
  /** These missions have ended, here or elsewhere; those that are given need not be read. */
  ended(ids: readonly string[], missions?: readonly Mission[]): void
  /** Whether somebody waits for the end of this one. */
  readonly isAwaited: (id: string) => boolean
}

type Listener = (mission?: Mission) => void

/** Callers that hold their answer until a mission ends. */
export function createMissionWaiters({ read, pollMs }: MissionWaitersOptions): MissionWaiters {
  const waiting = new Map<string, Set<Listener>>()

  /** Resolves `told` after `ms`, at the end of the mission, or when the caller is gone; `cancel` stops listening. */
  const listen = (
    id: string,
    ms: number,
    signal: AbortSignal,
  ): { told: Promise<Mission | undefined>; cancel: () => void } => {
    const { promise: told, resolve } = Promise.withResolvers<Mission | undefined>()
    const listeners = waiting.get(id) ?? new Set()
    const tell = (mission?: Mission): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', cancel)
      listeners.delete(tell)
      if (listeners.size === 0 && waiting.get(id) === listeners) waiting.delete(id)
      resolve(mission)
    }
    const cancel = (): void => tell()
    const timer = setTimeout(cancel, ms)
    signal.addEventListener('abort', cancel)
    waiting.set(id, listeners.add(tell))
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
        const mission = await told
        if (mission !== undefined) return mission
      }
    },
    ended(ids, missions = []) {
      const known = new Map(missions.map((mission) => [mission.id, mission]))
      for (const id of ids) for (const tell of [...(waiting.get(id) ?? [])]) tell(known.get(id))
    },
    isAwaited: (id) => waiting.has(id),
  }
}
