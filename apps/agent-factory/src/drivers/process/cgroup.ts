import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { codeOf, unless } from '../errors.ts'
import { findCgroupPlaces } from './cgroup-places.ts'
import type { CgroupPlace, Controller } from './cgroup-places.ts'
import { signalPid } from './processes.ts'

/** What the kernel itself enforces on a launch. */
export interface LaunchCgroup {
  /** Absolute paths; empty when nothing could be made. */
  readonly folders: readonly string[]
  readonly enforced: ReadonlySet<Controller>
  /** Runs `start` inside. What it starts stays there from its first instruction on; this process comes back out. */
  around<T>(start: () => T): T
}

export interface CgroupLimits {
  readonly cpu: number
  readonly memoryBytes: number
}

const PERIOD_US = 100_000
const QUOTA_MIN_US = 1000
/** The kernel says so when it does not let us, when the file or controller is not there, or when processes stand in the way. */
const REFUSALS = ['EACCES', 'EPERM', 'EROFS', 'ENOENT', 'EBUSY', 'EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSPC', 'EEXIST']
const REMOVE_TRIES_MAX = 200

/** Makes the control groups of a launch wherever they can be made. `places` is for tests. */
export function makeCgroup(
  launchId: string,
  limits: CgroupLimits,
  places: readonly CgroupPlace[] = findCgroupPlaces(),
): LaunchCgroup {
  const enforced = new Set<Controller>()
  const made: { folder: string; home: string }[] = []
  for (const place of places) {
    const folder = path.join(place.folder, `hypercode-${launchId}`)
    const fresh = [...place.controllers].filter((name) => !enforced.has(name))
    if (fresh.length === 0 || !makeFolder(place, folder)) continue
    const limited = fresh.filter((name) => limit(place.version, folder, name, limits))
    if (limited.length === 0) {
      rmdirSync(folder)
      continue
    }
    for (const name of limited) enforced.add(name)
    made.push({ folder, home: place.home })
  }
  return {
    folders: made.map(({ folder }) => folder),
    enforced,
    around: (start) => {
      try {
        for (const { folder } of made) enter(folder)
        return start()
      } finally {
        for (const { home } of made) enter(home)
      }
    },
  }
}

/** What the processes in the groups hold, without files that the kernel keeps as long as there is room. Undefined when no group counts it. */
export function memoryOfCgroups(folders: readonly string[]): number | undefined {
  const files = { 'memory.current': 'inactive_file', 'memory.usage_in_bytes': 'total_inactive_file' }
  for (const folder of folders) {
    for (const [file, cached] of Object.entries(files)) {
      const total = read(folder, file)
      if (total !== undefined) return Math.max(0, Number(total) - figure(read(folder, 'memory.stat'), cached))
    }
  }
  return undefined
}

/** How many processes of the groups the kernel has ended because they held too much. */
export function outOfMemoryKills(folders: readonly string[]): number {
  const files = ['memory.events', 'memory.oom_control']
  return folders.reduce(
    (sum, folder) => sum + files.reduce((kills, file) => kills + figure(read(folder, file), 'oom_kill'), 0),
    0,
  )
}

export function killCgroups(folders: readonly string[]): void {
  for (const folder of folders) {
    if (existsSync(path.join(folder, 'cgroup.kill')))
      attempt(() => writeFileSync(path.join(folder, 'cgroup.kill'), '1'))
    else for (const pid of pidsIn(folder)) signalPid(pid, 'SIGKILL')
  }
}

/** True when no process is in them. */
export function areEmpty(folders: readonly string[]): boolean {
  return folders.every((folder) => pidsIn(folder).length === 0)
}

/** Waits for what was killed to be gone: the kernel keeps a group that has processes. */
export async function removeCgroups(folders: readonly string[]): Promise<void> {
  for (const folder of folders) {
    for (let tries = 0; existsSync(folder) && tries < REMOVE_TRIES_MAX; tries++) {
      killCgroups([folder])
      if (attempt(() => rmdirSync(folder))) break
      await sleep(10)
    }
  }
}

function makeFolder(place: CgroupPlace, folder: string): boolean {
  // A group that holds processes, or whose parent keeps the controllers to itself, cannot hand them on.
  const handOn = (): void =>
    writeFileSync(
      path.join(place.folder, 'cgroup.subtree_control'),
      [...place.controllers].map((name) => `+${name}`).join(' '),
    )
  if (place.version === 2 && !attempt(handOn)) return false
  return attempt(() => mkdirSync(folder))
}

function limit(version: 1 | 2, folder: string, controller: Controller, { cpu, memoryBytes }: CgroupLimits): boolean {
  const quota = Math.max(QUOTA_MIN_US, Math.round(cpu * PERIOD_US))
  const write = (file: string, value: string) => (): void => writeFileSync(path.join(folder, file), value)
  if (version === 2) {
    if (controller === 'cpu') return attempt(write('cpu.max', `${quota} ${PERIOD_US}`))
    if (existsSync(path.join(folder, 'memory.swap.max'))) attempt(write('memory.swap.max', '0'))
    return attempt(write('memory.max', `${memoryBytes}`))
  }
  if (controller === 'cpu') {
    return attempt(write('cpu.cfs_period_us', `${PERIOD_US}`)) && attempt(write('cpu.cfs_quota_us', `${quota}`))
  }
  const limited = attempt(write('memory.limit_in_bytes', `${memoryBytes}`))
  // With swap; it may only be set once the limit above is no higher.
  const together = 'memory.memsw.limit_in_bytes'
  if (limited && existsSync(path.join(folder, together))) attempt(write(together, `${memoryBytes}`))
  return limited
}

const enter = (folder: string): void => writeFileSync(path.join(folder, 'cgroup.procs'), `${process.pid}`)

function pidsIn(folder: string): number[] {
  return (read(folder, 'cgroup.procs') ?? '').split('\n').filter(Boolean).map(Number)
}

function read(folder: string, file: string): string | undefined {
  return unless(['ENOENT', 'ENODEV', 'EOPNOTSUPP'], () => readFileSync(path.join(folder, file), 'utf8').trim())
}

/** The value of a line `name 123`. */
function figure(text: string | undefined, name: string): number {
  return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text ?? '')?.[1] ?? 0)
}

function attempt(action: () => void): boolean {
  try {
    action()
    return true
  } catch (error) {
    if (REFUSALS.includes(codeOf(error) ?? '')) return false
    throw error
  }
}
