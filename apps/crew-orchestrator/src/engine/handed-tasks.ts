import type { HandOver } from '../domain/hand-over.ts'
import type { Ledger } from '../domain/ledger.ts'
import { remember } from '../domain/remembered.ts'
import type { Remembered } from '../domain/remembered.ts'

/** Tasks that this process has handed over and not heard of since. */
export interface HandedTasks {
  keep(ledger: Ledger, over: HandOver): void
  /** What is known of the task of each report, and is forgotten then; undefined when one of them is not known. */
  take(reports: readonly { taskId: string }[]): Remembered[] | undefined
}

/** The oldest is forgotten for the next one; its report is taken as ever. One is about 1 kB, more with an output schema. */
const KEPT_MAX = 1000

export function createHandedTasks(): HandedTasks {
  const kept = new Map<string, Remembered>()
  return {
    keep(ledger, over) {
      for (const one of remember(ledger, over)) kept.set(one.task.id, one)
      for (const id of kept.keys()) {
        if (kept.size <= KEPT_MAX) break
        kept.delete(id)
      }
    },
    take(reports) {
      const known = reports.flatMap(({ taskId }) => kept.get(taskId) ?? [])
      // One that is reported twice at once is one too few.
      if (new Set(known).size < reports.length) return undefined
      for (const { taskId } of reports) kept.delete(taskId)
      return known
    },
  }
}
