import { BULLMQ, OURS } from './entries.ts'
import type { Entry } from './entries.ts'
import { WORKLOADS, WORKLOAD_NAMES, middle } from './workloads.ts'
import type { WorkloadName } from './workloads.ts'

/** What one run of the benchmark leaves behind, as `results/latest.json`. */
export interface Results {
  readonly measuredAt: string
  readonly machine: Readonly<Record<string, string | number>>
  readonly rounds: number
  /** Of the usual number of missions; figures of less than 1 are for trying things out. */
  readonly share: number
  readonly entries: readonly EntryResults[]
  /** Undefined when we or BullMQ were not part of the run. */
  readonly verdict: Verdict | undefined
}

export interface EntryResults {
  readonly id: string
  readonly label: string
  readonly version: string
  readonly durability: string
  readonly settings: Readonly<Record<string, string>>
  readonly figures: Partial<Record<WorkloadName, Figure>>
}

export interface Figure {
  readonly unit: string
  readonly median: number
  /** In the order in which they were measured. */
  readonly runs: readonly number[]
}

/** How we stand: against the faster of BullMQ's two settings, workload by workload, and P2 in milliseconds. */
export interface Verdict {
  readonly P1: number
  readonly P2: number
  readonly P3: number
  readonly P4: number
}

/** Every run of an entry, gathered over the rounds. */
export interface Gathered {
  readonly entry: Entry
  readonly version: string
  settings: Readonly<Record<string, string>>
  readonly runs: Record<WorkloadName, number[]>
}

export const gather = (entry: Entry, version: string): Gathered => ({
  entry,
  version,
  settings: {},
  runs: { P1: [], P2: [], P3: [], P4: [] },
})

export function summarize({ entry, version, settings, runs }: Gathered): EntryResults {
  const measured = WORKLOAD_NAMES.filter((name) => runs[name].length > 0)
  const figures = measured.map((name): [WorkloadName, Figure] => [
    name,
    { unit: WORKLOADS[name].unit, median: middle(runs[name]), runs: runs[name] },
  ])
  const { id, label, durability } = entry
  return { id, label, version, durability, settings, figures: Object.fromEntries(figures) }
}

export function judge(entries: readonly EntryResults[]): Verdict | undefined {
  const medianOf = (id: string, name: WorkloadName): number | undefined =>
    entries.find((one) => one.id === id)?.figures[name]?.median
  const ratio = (name: WorkloadName): number | undefined => {
    const ours = medianOf(OURS, name)
    const theirs = BULLMQ.map((id) => medianOf(id, name))
    if (ours === undefined || theirs.includes(undefined)) return undefined
    return Math.round((ours / Math.max(...(theirs as number[]))) * 100) / 100
  }
  const [P1, P2, P3, P4] = [ratio('P1'), medianOf(OURS, 'P2'), ratio('P3'), ratio('P4')]
  if (P1 === undefined || P2 === undefined || P3 === undefined || P4 === undefined) return undefined
  return { P1, P2, P3, P4 }
}
