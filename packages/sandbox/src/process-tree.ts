import { readFileSync, readdirSync } from 'node:fs'
import { codeOf } from './errors.ts'

/** What a process and all below it use at this moment. */
export interface TreeUse {
  /** Processes and threads. Counting ends soon after `tasksMax`. */
  readonly tasks: number
  /** Pages that no file stands behind. What processes share counts for each of them. */
  readonly memoryBytes: number
}

/**
 * Walks the tree of processes below `root`, which is the first of its own pid namespace: orphans are given to it, so the
 * tree is all that there is. A process that ends during the walk counts as nothing.
 */
export function measureTree(root: number, tasksMax: number): TreeUse {
  const open = [root]
  let tasks = 0
  let memoryBytes = 0
  for (let pid = open.pop(); pid !== undefined && tasks <= tasksMax; pid = open.pop()) {
    const threads = threadsOf(pid)
    tasks += threads.length
    memoryBytes += memoryOf(pid)
    for (const thread of threads) open.push(...childrenOf(pid, thread))
  }
  return { tasks, memoryBytes }
}

/**
 * Whether the first process of a pid namespace has ended, and with it, because the kernel sees to that first, every other.
 * Whoever inherited it may not have noticed yet.
 */
export function isOver(root: number): boolean {
  const stat = unlessGone(() => readFileSync(`/proc/${root}/stat`, 'utf8'))
  return stat === undefined || /^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2))
}

/** Whether the kernel tells the children of a process at all (CONFIG_PROC_CHILDREN). */
export function canMeasureTrees(): boolean {
  return unlessGone(() => readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8')) !== undefined
}

function threadsOf(pid: number): string[] {
  return unlessGone(() => readdirSync(`/proc/${pid}/task`)) ?? []
}

function childrenOf(pid: number, thread: string): number[] {
  const children = unlessGone(() => readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8')) ?? ''
  return children.split(' ').filter(Boolean).map(Number)
}

function memoryOf(pid: number): number {
  const status = unlessGone(() => readFileSync(`/proc/${pid}/status`, 'utf8')) ?? ''
  const kibibytes = [...status.matchAll(/^Rss(?:Anon|Shmem):\s+(\d+) kB/gm)].map(([, figure]) => Number(figure))
  return kibibytes.reduce((sum, figure) => sum + figure, 0) * 1024
}

function unlessGone<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes(codeOf(error) ?? '')) return undefined
    throw error
  }
}
