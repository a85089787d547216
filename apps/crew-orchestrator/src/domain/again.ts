/** Missions that do another one again: what of it is kept, and what the plan becomes. */
import type { CrewPlan, PlannedTask } from '../manifest/compile.ts'
import { baseOf } from './keys.ts'

/** A task that another mission has completed. */
export interface Kept {
  /** The task that did it, whose artifacts are those of this one. */
  taskId: string
  output: unknown
  /** Characters of the output. */
  chars: number
  /** What it did has been undone, or that was begun. */
  undone: boolean
  /** Key of the task that planned it, or of the forEach that it is an element of. */
  parent: string | null
}

/**
 * Completed tasks without those that begin anew: `from`, what is undone with whoever planned it, and all that waits for one of
 * them, near or far.
 */
export function keptAfter(plan: CrewPlan, kept: ReadonlyMap<string, Kept>, from?: string): Map<string, Kept> {
  const anew = new Set(from === undefined ? [] : [from])
  for (const [undone, one] of kept) {
    if (!one.undone) continue
    for (let key: string | null = undone; key !== null; key = kept.get(key)?.parent ?? null) anew.add(baseOf(key))
  }
  // Tasks stand in an order in which each comes after those that it waits for.
  for (const task of plan.tasks) if (task.dependsOn.some((parent) => anew.has(parent))) anew.add(task.key)
  return new Map([...kept].filter(([key]) => !anew.has(baseOf(key))))
}

/** The plan with another input for one task; undefined when that task has no input of its own, since its elements have theirs. */
export function withInput(plan: CrewPlan, from: string, input: unknown): CrewPlan | undefined {
  const change = (task: PlannedTask): PlannedTask => {
    const { concurrencyKey } = task.template ?? {}
    // Only a concurrency key still has to be looked up.
    const template =
      concurrencyKey === undefined ? null : { input: null, reads: task.template?.reads ?? [], concurrencyKey }
    return { ...task, input, template }
  }
  const task = plan.tasks.find((one) => one.key === from)
  if (task?.template?.forEach !== undefined) return undefined
  return { ...plan, tasks: plan.tasks.map((one) => (one.key === from ? change(one) : one)) }
}
