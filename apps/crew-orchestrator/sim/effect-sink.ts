import { ALONE } from './crews.ts'
import type { Random } from './random.ts'
import { must } from './rules.ts'

/** What a handler does on its way: a journaled step, or an effect outside, which may be repeated under its key or must not. */
export interface Tool {
  kind: 'step' | 'effect'
  name: string
  idempotent: boolean
}

/** The world outside, in which effects happen. It counts them. */
export interface EffectSink {
  /** The tools of a task, in order. Every attempt of it has the same. */
  toolsOf(taskId: string, key: string | undefined): readonly Tool[]
  /** An agent may be about to have the effect, until it says otherwise. */
  begins(taskId: string, name: string): void
  ends(taskId: string, name: string): void
  /** Somebody may still be about to have it: what a person would say of it now could turn out wrong. */
  isPending(taskId: string, name: string): boolean
  /** The effect. One that may be repeated happens once per key. */
  happen(taskId: string, tool: Tool, key: string): void
  /** How often it has happened. */
  count(taskId: string, name: string): number
}

export function createEffectSink(random: Random): EffectSink {
  const tools = new Map<string, readonly Tool[]>()
  const pending = new Map<string, number>()
  const keys = new Map<string, string[]>()
  const add = (id: string, by: number): void => void pending.set(id, (pending.get(id) ?? 0) + by)
  return {
    toolsOf(taskId, key) {
      const known = tools.get(taskId) ?? (key === ALONE ? [] : randomTools(random))
      tools.set(taskId, known)
      return known
    },
    begins: (taskId, name) => add(`${taskId}/${name}`, 1),
    ends: (taskId, name) => add(`${taskId}/${name}`, -1),
    isPending: (taskId, name) => (pending.get(`${taskId}/${name}`) ?? 0) > 0,
    happen(taskId, { name, idempotent }, key) {
      const before = keys.get(`${taskId}/${name}`) ?? []
      if (idempotent && before.includes(key)) return
      keys.set(`${taskId}/${name}`, [...before, key])
      const [invariant, what] = idempotent
        ? ['E1', 'which may be repeated under its key']
        : ['E2', 'which must not be repeated']
      must(
        before.length === 0,
        invariant,
        `the effect ${name} of ${taskId}, ${what}, happened ${before.length + 1} times`,
      )
    },
    count: (taskId, name) => keys.get(`${taskId}/${name}`)?.length ?? 0,
  }
}

function randomTools(random: Random): Tool[] {
  const count = random.pick([0, 0, 0, 1, 2])
  return Array.from({ length: count }, (_, index) => ({
    kind: random.pick(['step', 'effect', 'effect']),
    name: `tool-${index}`,
    idempotent: random.chance(0.5),
  }))
}
