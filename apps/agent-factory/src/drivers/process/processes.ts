/**
 * Processes of this machine, as /proc tells of them; where there is no /proc, as `ps` does, which knows no processor time
 * and takes longer. Only what Node itself brings is imported: the keeper runs this as a program of its own.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { codeOf, unless } from '../errors.ts'

/** A process that cannot be mistaken for a later one with the same number. */
export interface Identity {
  readonly pid: number
  /** Opaque; equal only for the same process of the same boot. */
  readonly startTime: string
}

export interface ProcessEntry extends Identity {
  readonly parent: number
  readonly group: number
  readonly session: number
  /** Used by it and by its children that it has waited for. Undefined without /proc. */
  readonly cpuMs: number | undefined
}

export const hasProc = existsSync('/proc/self/stat')

const GONE = ['ENOENT', 'ESRCH']
const UNSEEN = [...GONE, 'EACCES', 'EPERM']
/** Linux counts processor time in hundredths of a second for every program, whatever its own clock does. */
const MS_PER_TICK = 10

/** The identity of a living process; undefined when it is gone or a zombie. */
export function identify(pid: number): Identity | undefined {
  const entry = hasProc ? entryFromProc(pid) : entriesFromPs(['-p', `${pid}`])[0]
  return entry && { pid, startTime: entry.startTime }
}

export function isAlive(identity: Identity): boolean {
  return identify(identity.pid)?.startTime === identity.startTime
}

/**
 * The living processes that belong to the launch of `root`: of its group or session, and whatever descends from them. Also when
 * `root` itself has ended; empty when its number has gone to another process since.
 */
export function launchProcesses(root: Identity): ProcessEntry[] {
  const all = hasProc ? entriesFromProc() : entriesFromPs(['-A'])
  const namesake = all.find((entry) => entry.pid === root.pid)
  if (namesake !== undefined && namesake.startTime !== root.startTime) return []
  // Without the root, its number as a group is only ours when the machine has not been started again.
  if (namesake === undefined && bootOf(root.startTime) !== bootId()) return []
  const ours = new Set(all.filter((entry) => entry.group === root.pid || entry.session === root.pid))
  for (let found = ours.size, before = -1; found !== before; before = found, found = ours.size) {
    const pids = new Set([...ours].map((entry) => entry.pid))
    for (const entry of all) if (pids.has(entry.parent)) ours.add(entry)
  }
  return [...ours]
}

/**
 * Processes that were told that `home` is their home: an agent's child that has gone its own ways, in a session of its own
 * and with a parent that is no more. Empty without /proc; other users' processes are not seen.
 */
export function processesAtHome(home: string): ProcessEntry[] {
  return hasProc ? entriesFromProc().filter(({ pid }) => environmentOf(pid).includes(`HOME=${home}`)) : []
}

function environmentOf(pid: number): string[] {
  return (unless(UNSEEN, () => readFileSync(`/proc/${pid}/environ`, 'utf8')) ?? '').split('\0')
}

/** Memory that no file stands behind. What processes share counts for each of them. */
export function memoryOf(entries: readonly ProcessEntry[]): number {
  return entries.reduce((sum, { pid }) => sum + (hasProc ? memoryFromProc(pid) : memoryFromPs(pid)), 0)
}

/** False when it is gone. */
export function signalProcess(identity: Identity, signal: NodeJS.Signals): boolean {
  return isAlive(identity) && signalPid(identity.pid, signal)
}

/** False when it is gone, or has become a user that we may not touch. */
export function signalPid(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal)
  } catch (error) {
    if (['ESRCH', 'EPERM'].includes(codeOf(error) ?? '')) return false
    throw error
  }
}

function entriesFromProc(): ProcessEntry[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => entryFromProc(Number(name)))
    .filter((entry) => entry !== undefined)
}

function entryFromProc(pid: number): ProcessEntry | undefined {
  const stat = unless(GONE, () => readFileSync(`/proc/${pid}/stat`, 'utf8'))
  if (stat === undefined) return undefined
  // The second field is the command in brackets and may itself hold brackets and spaces.
  const [state, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  if (state === 'Z' || state === 'X') return undefined
  const [parent, group, session, , , , , , , , user, system, childUser, childSystem, , , , , ticks] = fields.map(Number)
  return {
    pid,
    startTime: `${bootId()}:${ticks}`,
    parent: parent ?? 0,
    group: group ?? 0,
    session: session ?? 0,
    cpuMs: [user, system, childUser, childSystem].reduce<number>((sum, used) => sum + (used ?? 0), 0) * MS_PER_TICK,
  }
}

function entriesFromPs(which: readonly string[]): ProcessEntry[] {
  const columns = 'pid=,ppid=,pgid=,stat=,lstart='
  const ps = spawnSync('/bin/ps', [...which, '-o', columns], { encoding: 'utf8', timeout: 5000, env: { LC_ALL: 'C' } })
  return [...(ps.stdout ?? '').matchAll(/^\s*(\d+)\s+(\d+)\s+(\d+)\s+([^Z\s]\S*)\s+(\S.*?)\s*$/gm)].map((match) => {
    const [pid = 0, parent = 0, group = 0] = match.slice(1, 4).map(Number)
    return { pid, parent, group, session: group, startTime: `${match[5]}`, cpuMs: undefined }
  })
}

function memoryFromProc(pid: number): number {
  const status = unless(GONE, () => readFileSync(`/proc/${pid}/status`, 'utf8')) ?? ''
  const kibibytes = [...status.matchAll(/^Rss(?:Anon|Shmem):\s+(\d+) kB/gm)].map(([, figure]) => Number(figure))
  return kibibytes.reduce((sum, figure) => sum + figure, 0) * 1024
}

function memoryFromPs(pid: number): number {
  const ps = spawnSync('/bin/ps', ['-o', 'rss=', '-p', `${pid}`], { encoding: 'utf8', timeout: 5000 })
  return (Number.parseInt(ps.stdout ?? '', 10) || 0) * 1024
}

const bootOf = (startTime: string): string => (hasProc ? (startTime.split(':')[0] ?? '') : '')

let cachedBootId: string | undefined
function bootId(): string {
  cachedBootId ??= hasProc ? readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim() : ''
  return cachedBootId
}
