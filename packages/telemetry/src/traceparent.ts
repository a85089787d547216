import { randomFillSync } from 'node:crypto'

/** The parts of a W3C `traceparent`, in lower-case hex. */
export type TraceParent = Readonly<{ traceId: string; spanId: string; flags: string }>

/** A `traceparent` that begins a trace, sampled. */
export const newTraceparent = (): string => format({ traceId: randomId(16), spanId: randomId(8), flags: '01' })

/** A `traceparent` for work below `parent`; it begins a trace where the parent is missing or not valid. */
export function childTraceparent(parent: string | undefined): string {
  const parsed = parseTraceparent(parent)
  return parsed === undefined ? newTraceparent() : format({ ...parsed, spanId: randomId(8) })
}

/** The parts of a valid `traceparent`, `undefined` for everything else. Later versions are read as far as ours goes. */
export function parseTraceparent(text: string | undefined): TraceParent | undefined {
  if (text === undefined || text.length > MAX_LENGTH) return undefined
  const [, version, traceId = '', spanId = '', flags = '', rest] = FORM.exec(text) ?? []
  if (version === undefined || version === 'ff' || (version === '00' && rest !== undefined)) return undefined
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined
  return { traceId, spanId, flags }
}

const FORM = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/
const MAX_LENGTH = 256

const format = ({ traceId, spanId, flags }: TraceParent): string => `00-${traceId}-${spanId}-${flags}`

/** Asking for random bytes costs the same for eight as for thousands. */
const POOL = Buffer.alloc(4096)
let used = POOL.length

function randomId(bytes: number): string {
  if (used + bytes > POOL.length) {
    randomFillSync(POOL)
    used = 0
  }
  const id = POOL.toString('hex', used, (used += bytes))
  return /^0+$/.test(id) ? randomId(bytes) : id
}
