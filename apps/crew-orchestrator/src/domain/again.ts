/** Missions that do another one again: what of it is kept, and what the plan becomes. */
import type { CrewPlan, PlannedTask } from '../manifest/compile.ts'

/** A task that another mission has completed. */
export interface Kept {
  /** The task that did it, whose artifacts are those of this one. */
  taskId: string
  output: unknown
  /** Characters of the output. */
  chars: number
}

/** The key of a task in the manifest; elements of a forEach belong to it. */
const baseOf = (key: string): string => key.replace(/\[\d+\]$/, '')

/** Completed tasks without those that begin anew: `from` and all that waits for it, near or far. */
export function keptAfterFork(plan: CrewPlan, kept: ReadonlyMap<string, Kept>, from: string): Map<string, Kept> {
  const anew = new Set([from])
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
