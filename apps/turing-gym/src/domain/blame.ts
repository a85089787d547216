import type { Task } from '@hypercode/contracts'

/** Codes of the orchestrator for tasks that it could not even hand out. */
const NOT_HANDED_OUT = new Set(['queue_timeout', 'reference_unresolved', 'deadline_exceeded'])

/**
 * Why the platform, and not the agent, kept a task from a proper end; undefined when what came of it is the agent's doing. `crashed` says
 * whether an instance of the pool ended by itself while the task was under way.
 */
export function platformFaultOf(task: Task, crashed: boolean): string | undefined {
  const { state, error, attempt } = task
  if (state === 'completed' || state === 'rejected') return undefined
  if (state !== 'failed') return `the task ended as ${state}${task.reason === undefined ? '' : `: ${task.reason}`}`
  const what = `${error?.code ?? 'failed'}: ${error?.message ?? 'the task failed without a word'}`
  if (error !== undefined && NOT_HANDED_OUT.has(error.code)) return what
  if (attempt === 0) return `${what}; no agent had begun it`
  // An agent that takes its process down with it has failed. One that merely was not heard of may be well.
  if (error?.code === 'lease_lost' && !crashed) return `${what}; no instance has crashed`
  return undefined
}
