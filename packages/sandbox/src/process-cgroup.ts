import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { codeOf } from './errors.ts'

const PREFIX = 'hypercode-sandbox-'

export interface ProcessCgroup {
  /** The kernel has refused to start one more. */
  hasRefused(): boolean
  /** Undoes it, when all of its processes have ended. */
  remove(): void
}

/**
 * Has the kernel refuse more than `tasksMax` processes and threads to `pid` and all that it starts. For root alone: the
 * kernel does not hold root to a number of processes in any other way, and nobody else may make such a group.
 * Undefined where root may not either, as in a container; then only `watchLimits` holds.
 */
export function limitProcesses(pid: number, tasksMax: number): ProcessCgroup | undefined {
  const parent = process.getuid?.() === 0 ? parentCgroup() : undefined
  if (parent === undefined) return undefined
  removeAbandoned(parent)
  const folder = path.join(parent, `${PREFIX}${process.pid}-${randomUUID()}`)
  const group = {
    hasRefused: () =>
      /^max [1-9]/m.test(unlessRefused(() => readFileSync(path.join(folder, 'pids.events'), 'utf8')) ?? ''),
    remove: () => unlessRefused(() => rmdirSync(folder)),
  }
  const isMade = unlessRefused(() => {
    mkdirSync(folder)
    writeFileSync(path.join(folder, 'pids.max'), `${tasksMax}`)
    writeFileSync(path.join(folder, 'cgroup.procs'), `${pid}`)
    return true
  })
  if (isMade === true) return group
  group.remove()
  return undefined
}

/** Empty groups of processes that were killed before they could remove them. */
function removeAbandoned(parent: string): void {
  for (const name of readdirSync(parent).filter((entry) => entry.startsWith(PREFIX))) {
    const owner = name.slice(PREFIX.length).split('-')[0] ?? ''
    if (!existsSync(`/proc/${owner}`)) unlessRefused(() => rmdirSync(path.join(parent, name)))
  }
}

/** Where a group with a limit of processes can be made, in the first and the second version of cgroups. */
function parentCgroup(): string | undefined {
  const [first, second] = ['/sys/fs/cgroup/pids', '/sys/fs/cgroup']
  if (existsSync(path.join(first, 'cgroup.procs'))) return first
  const controllers = unlessRefused(() => readFileSync(path.join(second, 'cgroup.subtree_control'), 'utf8'))
  return controllers?.split(/\s/).includes('pids') === true ? second : undefined
}

function unlessRefused<T>(act: () => T): T | undefined {
  try {
    return act()
  } catch (error) {
    // EBUSY: the last process is not quite gone, and the empty group costs nothing. ESRCH: it ended at once.
    const refusals = ['ENOENT', 'EACCES', 'EPERM', 'EROFS', 'EBUSY', 'ESRCH', 'EINVAL', 'EOPNOTSUPP', 'ENOSPC']
    if (refusals.includes(codeOf(error) ?? '')) return undefined
    throw error
  }
}
