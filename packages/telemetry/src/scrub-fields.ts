import { REDACTED } from './scrub-text.ts'
import { isSensitiveKey } from './sensitive-key.ts'

/**
 * A copy of the fields of a log call that is safe to write: what stands under a sensitive name is redacted at every
 * depth, errors become plain objects with their causes, requests and answers are cut down to what a log needs. The
 * copy is bounded, however large or circular the original is.
 */
export function scrubFields(fields: Record<string, unknown>): Record<string, unknown> {
  return scrubEntries(Object.entries(fields), { values: 0, chars: 0 }, 0)
}

/** How many values a line and a container in it may hold, how deep it goes, and how long its texts may be together. */
const MAX_VALUES = 1_000
const MAX_CONTAINER = 100
const MAX_DEPTH = 8
const MAX_CHARS = 32_768

/** What the line holds so far. */
type Budget = { values: number; chars: number }

function scrubEntries(entries: [string, unknown][], budget: Budget, depth: number): Record<string, unknown> {
  const safe: Record<string, unknown> = {}
  const defined = entries.filter(([, value]) => value !== undefined && typeof value !== 'function')
  for (const [key, value] of defined.slice(0, roomIn(budget))) safe[key] = scrubEntry(key, value, budget, depth)
  if (Object.keys(safe).length < defined.length) safe['truncated'] = true
  // { name: 'authorization', value: '…' }, the other way to write a header or a variable
  const name = safe['name'] ?? safe['key']
  if ('value' in safe && typeof name === 'string' && isSensitiveKey(name)) safe['value'] = REDACTED
  return safe
}

function scrubEntry(key: string, value: unknown, budget: Budget, depth: number): unknown {
  if (value !== null && isSensitiveKey(key)) return REDACTED
  if (depth === 0 && typeof value === 'object' && value !== null) {
    if (key === 'req' || key === 'request') return describeRequest(value)
    if (key === 'res' || key === 'reply' || key === 'response') return describeAnswer(value)
  }
  return scrubValue(value, budget, depth + 1)
}

function scrubValue(value: unknown, budget: Budget, depth: number): unknown {
  budget.values++
  if (typeof value === 'string') return scrubString(value, budget)
  if (typeof value === 'bigint') return value.toString()
  if (typeof value === 'symbol') return value.toString()
  if (typeof value !== 'object' || value === null || value instanceof Date) return value
  if (depth > MAX_DEPTH) return '[deep]'
  if (value instanceof Error) return scrubError(value, budget, depth)
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`
  if (value instanceof URL) return value.href
  if (value instanceof Headers || value instanceof URLSearchParams) return scrubEntries([...value], budget, depth)
  if (value instanceof Map)
    return scrubEntries(
      [...value].map(([key, item]) => [String(key), item]),
      budget,
      depth,
    )
  if (value instanceof Set) return scrubList([...value], budget, depth)
  if (Array.isArray(value)) return scrubList(value, budget, depth)
  if ('toJSON' in value && typeof value.toJSON === 'function') return scrubValue(value.toJSON(), budget, depth + 1)
  return scrubEntries(Object.entries(value), budget, depth)
}

function scrubList(items: readonly unknown[], budget: Budget, depth: number): unknown[] {
  const kept = items.slice(0, roomIn(budget))
  const safe = kept.map((item) => scrubValue(item, budget, depth + 1))
  return kept.length < items.length ? [...safe, `[${items.length - kept.length} more]`] : safe
}

function scrubString(text: string, budget: Budget): string {
  const room = Math.max(0, MAX_CHARS - budget.chars)
  budget.chars += Math.min(text.length, room)
  return text.length <= room ? text : `${text.slice(0, room)}…`
}

/** How many entries the next container may have. */
function roomIn(budget: Budget): number {
  return Math.max(0, Math.min(MAX_CONTAINER, MAX_VALUES - budget.values))
}

function scrubError(error: Error, budget: Budget, depth: number): Record<string, unknown> {
  const own = Object.entries(error).filter(([key]) => !['name', 'message', 'stack', 'cause'].includes(key))
  const { cause } = error
  return {
    type: error.name,
    message: scrubValue(error.message, budget, depth),
    stack: scrubValue(error.stack, budget, depth),
    ...(cause !== undefined && { cause: scrubValue(cause, budget, depth + 1) }),
    ...scrubEntries(own, budget, depth),
  }
}

/** A request of Fastify or of node:http by method, path and address; the query goes, since it may carry anything. */
function describeRequest(request: object): Record<string, unknown> {
  const { id, method, url, ip } = request as Record<string, unknown>
  const path = typeof url === 'string' ? (url.split('?', 1)[0] ?? '').slice(0, 512) : undefined
  return defined({ id, method, url: path, ip })
}

function describeAnswer(answer: object): Record<string, unknown> {
  const { statusCode, elapsedTime } = answer as Record<string, unknown>
  return defined({ statusCode, elapsedTime })
}

function defined(fields: Record<string, unknown>): Record<string, unknown> {
  const plain = Object.entries(fields).filter(([, value]) => typeof value === 'string' || typeof value === 'number')
  return Object.fromEntries(plain)
}
