import { readFileSync, readdirSync } from 'node:fs'

/** Microseconds of CPU that one unit of work costs in each kind of process, from all cores together: `{ 'us postgres': 180, … }`. */
export type Costs = Record<string, number>

/**
 * What the processes below this one compute from now on. Processor time tells more than a clock on a machine that does other things too:
 * two cores are busy for a second when the costs of all units are two. Empty where there is no /proc.
 */
export function startCosts(): (units: number) => Costs {
  const before = cpuTimes()
  return (units) => {
    const costs: [string, number][] = []
    for (const [name, ms] of cpuTimes()) {
      const us = Math.round(((ms - (before.get(name) ?? 0)) * 1000) / units)
      if (us > 0) costs.push([`us ${name}`, us])
    }
    return Object.fromEntries(costs.sort(([, a], [, b]) => b - a))
  }
}

/** Linux counts processor time in hundredths of a second. */
const TICK_MS = 10

interface Seen {
  readonly parent: number
  readonly name: string
  readonly ms: number
}

/** Milliseconds of this process and all below it, by what they are; of those that ended, too, once their parents know. */
function cpuTimes(): ReadonlyMap<string, number> {
  const seen = new Map<number, Seen>()
  for (const pid of pids()) {
    const one = look(pid)
    if (one !== undefined) seen.set(pid, one)
  }
  const isOurs = (pid: number): boolean => {
    for (let at = pid; at > 1; at = seen.get(at)?.parent ?? 0) if (at === process.pid) return true
    return false
  }
  const sums = new Map<string, number>()
  for (const [pid, { name, ms }] of seen) if (isOurs(pid)) sums.set(name, (sums.get(name) ?? 0) + ms)
  return sums
}

const pids = (): number[] => {
  try {
    return readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? [Number(name)] : []))
  } catch {
    return []
  }
}

function look(pid: number): Seen | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name before the last bracket may hold anything.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0)
    return { parent: Number(fields[1]), name: nameOf(pid), ms: ticks * TICK_MS }
  } catch {
    // It has ended in the meantime.
    return undefined
  }
}

function nameOf(pid: number): string {
  if (pid === process.pid) return 'submitter'
  const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  if (command.includes('bench-agent')) return 'agent'
  const [known] = /postgres|pgbouncer|redis-server/.exec(command) ?? []
  return known ?? /apps\/([a-z-]+)\/dist/.exec(command)?.[1] ?? 'other'
}
