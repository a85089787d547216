import { isUtf8 } from 'node:buffer'
import { AppError } from './app-error.ts'

/** Deeper bodies are refused before anything that recurses sees them. */
export const JSON_DEPTH_MAX = 64

/**
 * Parses a JSON body. Everything that Postgres or a recursive reader would choke on later is refused here:
 * 400 for what is not JSON, 422 for nesting beyond 64 levels, for `\u0000` and for lone surrogates.
 */
export function parseJsonBody(bytes: Buffer): unknown {
  if (bytes.length === 0) throw new AppError('request_invalid', { detail: 'The body is empty, but its type is JSON.' })
  if (!isUtf8(bytes)) throw new AppError('request_invalid', { detail: 'The body is not valid UTF-8.' })
  if (isDeeperThan(bytes, JSON_DEPTH_MAX)) {
    throw new AppError('unprocessable', { detail: `The body is nested more than ${JSON_DEPTH_MAX} levels deep.` })
  }
  const text = bytes.toString('utf8')
  const value = parse(text)
  // UTF-8 cannot carry a lone surrogate and JSON refuses a raw NUL, so only an escape can bring one in.
  if (text.includes('\\u') && !isStorable(value)) throw new AppError('text_invalid')
  if (text.includes('__proto__') || text.includes('\\u')) refuseProto(value)
  return value
}

/** Whether a text can be stored: no NUL, no lone surrogate. */
export const isStorableText = (text: string): boolean => !text.includes('\u0000') && text.isWellFormed()

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new AppError('request_invalid', { detail: 'The body is not valid JSON.', cause })
  }
}

const QUOTE = 0x22
const BACKSLASH = 0x5c

/** Looks at brackets outside of strings; in UTF-8 none of these bytes is ever part of another character. */
function isDeeperThan(bytes: Buffer, max: number): boolean {
  let depth = 0
  let inString = false
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]
    if (inString) {
      if (byte === BACKSLASH) i++
      else if (byte === QUOTE) inString = false
    } else if (byte === QUOTE) inString = true
    else if (byte === 0x7b || byte === 0x5b) {
      if (++depth > max) return true
    } else if (byte === 0x7d || byte === 0x5d) depth--
  }
  return false
}

function isStorable(value: unknown): boolean {
  if (typeof value === 'string') return isStorableText(value)
  if (Array.isArray(value)) return value.every(isStorable)
  if (typeof value !== 'object' || value === null) return true
  return Object.entries(value).every(([key, member]) => isStorableText(key) && isStorable(member))
}

/** An own `__proto__` turns into a prototype as soon as somebody copies the object with `Object.assign`. */
function refuseProto(value: unknown): void {
  if (typeof value !== 'object' || value === null) return
  if (Object.hasOwn(value, '__proto__')) {
    throw new AppError('request_invalid', { detail: 'The body has a property named __proto__.' })
  }
  for (const member of Object.values(value)) refuseProto(member)
}
