import type { LogLine, ServiceProcess } from '@hypercode/testkit/tools'
import type { Rig } from './rig.ts'

const SHOWN = 8
const LEVELS = new Set(['warn', 'error', 'fatal'])

export interface Complaints {
  /** Lines at level error of the one service that wrote most of them, for each second. */
  readonly errorsPerS: number
  /** What was written most often at level warn and above: `service: message ×times`. */
  readonly often: readonly string[]
}

/** What services and agents have complained of since a moment of the wall clock. */
export function complaintsSince(
  rig: Pick<Rig, 'gateways' | 'registries' | 'orchestrators' | 'agents'>,
  sinceMs: number,
): Complaints {
  const services = [...rig.gateways, ...rig.registries, ...rig.orchestrators]
  const passedS = (Date.now() - sinceMs) / 1000
  const errors = services.map((one) => linesSince(one, sinceMs).filter(({ level }) => level === 'error').length)
  const times = new Map<string, number>()
  for (const line of [...services, ...rig.agents].flatMap((one) => linesSince(one, sinceMs))) {
    const { level, service, msg, err } = line as {
      level?: string
      service?: string
      msg?: string
      err?: { message?: string }
    }
    if (!LEVELS.has(level ?? '')) continue
    const text = `${service}: ${msg}${err?.message === undefined ? '' : ` (${err.message.slice(0, 80)})`}`
    times.set(text, (times.get(text) ?? 0) + 1)
  }
  const most = [...times].toSorted((a, b) => b[1] - a[1]).slice(0, SHOWN)
  return { errorsPerS: Math.max(...errors) / passedS, often: most.map(([text, n]) => `${text} ×${n}`) }
}

const linesSince = ({ lines }: ServiceProcess, sinceMs: number): LogLine[] =>
  lines.filter(({ ts }) => typeof ts === 'string' && Date.parse(ts) >= sinceMs)
