import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, readdirSync, readlinkSync, realpathSync } from 'node:fs'
import path from 'node:path'
import { codeOf } from './errors.ts'

/** A process that cannot be mistaken for a later one with the same number. */
export interface ProcessIdentity {
  readonly pid: number
  /** Opaque; equal only for the same process of the same boot. */
  readonly startTime: string
}

const hasProc = existsSync('/proc/self/stat')

/** The identity of a living process; undefined when it is gone or a zombie. */
export function identify(pid: number): ProcessIdentity | undefined {
  const startTime = hasProc ? startTimeFromProc(pid) : startTimeFromPs(pid)
  return startTime === undefined ? undefined : { pid, startTime }
}

export function isAlive(identity: ProcessIdentity): boolean {
  return identify(identity.pid)?.startTime === identity.startTime
}

/** Sends a signal to exactly this process. False when it is gone. */
export function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): boolean {
  if (!isAlive(identity)) return false
  try {
    return process.kill(identity.pid, signal)
  } catch (error) {
    if (codeOf(error) === 'ESRCH') return false
    throw error
  }
}

/** Waits until the process is gone. False when it still lives after `waitMs`. */
export async function waitGone(identity: ProcessIdentity, waitMs: number): Promise<boolean> {
  const deadline = Date.now() + waitMs
  while (isAlive(identity)) {
    if (Date.now() >= deadline) return false
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  return true
}

/**
 * Living processes named one of `names` that work in `dir` or below it: finds a server that no file names.
 * Empty where there is no /proc.
 */
export function processesIn(dir: string, names: ReadonlySet<string>): ProcessIdentity[] {
  if (!hasProc || !existsSync(dir)) return []
  const root = realpathSync(dir)
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry) && worksIn(entry, root, names))
    .map((entry) => identify(Number(entry)))
    .filter((identity) => identity !== undefined)
}

function worksIn(pid: string, root: string, names: ReadonlySet<string>): boolean {
  try {
    if (!names.has(readFileSync(`/proc/${pid}/comm`, 'utf8').trim())) return false
    const cwd = readlinkSync(`/proc/${pid}/cwd`)
    return cwd === root || cwd.startsWith(root + path.sep)
  } catch (error) {
    if (isGone(error)) return false
    throw error
  }
}

function startTimeFromProc(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The second field is the command in brackets and may itself hold brackets and spaces.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const [state, ticks] = [fields[0], fields[19]]
    return state === 'Z' || state === 'X' || ticks === undefined ? undefined : `${bootId()}:${ticks}`
  } catch (error) {
    if (isGone(error)) return undefined
    throw error
  }
}

function startTimeFromPs(pid: number): string | undefined {
  const ps = spawnSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], { encoding: 'utf8', timeout: 5_000 })
  const [, state, started] = /^\s*(\S+)\s+(.+?)\s*$/.exec(ps.stdout ?? '') ?? []
  return state === undefined || state.startsWith('Z') ? undefined : started
}

let cachedBootId: string | undefined
function bootId(): string {
  cachedBootId ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  return cachedBootId
}

// ESRCH: it ended while we were reading. EACCES and EPERM: another user's process, which is never ours.
function isGone(error: unknown): boolean {
  return ['ENOENT', 'ESRCH', 'EACCES', 'EPERM'].includes(codeOf(error) ?? '')
}
