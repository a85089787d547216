import type { CrewManifest } from '@hypercode/contracts'

/** Task id → ids of the tasks that it waits for. */
export type Graph = ReadonlyMap<string, readonly string[]>

/** What every task waits for: what it names, and in a sequential crew the task before it. */
export function dependenciesOf(manifest: CrewManifest): Graph {
  const { process, tasks } = manifest.spec
  return new Map(
    tasks.map((task, index) => {
      const before = process === 'sequential' ? tasks[index - 1]?.id : undefined
      return [task.id, [...new Set([...(task.dependsOn ?? []), ...(before === undefined ? [] : [before])])]]
    }),
  )
}

/** Task ids in waves: each waits only for tasks of earlier waves. With a cycle, what lies on it or behind it is left out. */
export function waves(graph: Graph): string[][] {
  const done = new Set<string>()
  const result: string[][] = []
  for (;;) {
    const wave = [...graph]
      .filter(([id, parents]) => !done.has(id) && parents.every((parent) => done.has(parent)))
      .map(([id]) => id)
    if (wave.length === 0) return result
    for (const id of wave) done.add(id)
    result.push(wave)
  }
}

/** The ids of one cycle in the order in which they wait for each other, or undefined. Unknown parents are no cycle. */
export function findCycle(graph: Graph): string[] | undefined {
  const state = new Map<string, 'open' | 'done'>()
  const trail: string[] = []
  const visit = (id: string): string[] | undefined => {
    if (state.get(id) === 'done') return undefined
    if (state.get(id) === 'open') return trail.slice(trail.indexOf(id))
    state.set(id, 'open')
    trail.push(id)
    for (const parent of graph.get(id) ?? []) {
      const cycle = graph.has(parent) ? visit(parent) : undefined
      if (cycle !== undefined) return cycle
    }
    trail.pop()
    state.set(id, 'done')
    return undefined
  }
  for (const id of graph.keys()) {
    const cycle = visit(id)
    if (cycle !== undefined) return cycle
  }
  return undefined
}

/** Every task that `id` waits for, near or far. */
export function reachable(graph: Graph, id: string): Set<string> {
  const found = new Set<string>()
  const open = [...(graph.get(id) ?? [])]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (found.has(next)) continue
    found.add(next)
    open.push(...(graph.get(next) ?? []))
  }
  return found
}
