import type { GymFault } from '@hypercode/contracts'

/** What can be done to a model; killing the agent is somebody else's work. */
export type ModelFault = Exclude<GymFault, { kill: 'agent' }>

/** What happens to one request. */
export interface Interference {
  /** In milliseconds, before anything else; 0 for none. */
  readonly delayMs: number
  /** Instead of the answer of the model, or to it; absent when it passes. */
  readonly ending?: { readonly status: number } | 'cut'
}

/** Hands each request its share of the faults. */
export interface FaultPlan {
  next(): Interference
}

/**
 * Every delay that still has times left slows a request down; a delay without a number of times slows all. Of the refusals and cuts a
 * request meets one, in the order in which they stand.
 */
export function createFaultPlan(faults: readonly ModelFault[]): FaultPlan {
  const left = faults.map((fault) => ({ fault, times: fault.times ?? Number.POSITIVE_INFINITY }))
  const take = (entry: (typeof left)[number] | undefined): ModelFault | undefined => {
    if (entry === undefined) return undefined
    entry.times -= 1
    return entry.fault
  }
  return {
    next() {
      const ready = left.filter(({ times }) => times > 0)
      const delayMs = ready.reduce((sum, entry) => {
        if (!('delay' in entry.fault)) return sum
        take(entry)
        return sum + entry.fault.ms
      }, 0)
      const end = take(ready.find(({ fault }) => !('delay' in fault)))
      if (end === undefined || 'delay' in end) return { delayMs }
      return { delayMs, ending: 'status' in end ? { status: end.status } : 'cut' }
    },
  }
}
