import type { Fault } from '@hypercode/contracts'
import { DEPTH_MAX } from './nesting.ts'

/** Values and characters of a manifest whose aliases are resolved: they can make much of little. */
const VALUES_MAX = 200_000
const CHARS_MAX = 1024 * 1024

/** Faults of values that YAML can write and JSON, or Postgres, cannot: NUL, half a character, infinity, endless nesting. */
export function jsonFaults(root: unknown): Fault[] {
  const faults: Fault[] = []
  const left = { values: VALUES_MAX, chars: CHARS_MAX }

  const visitText = (text: string, pointer: string): void => {
    left.chars -= text.length
    if (text.includes('\u0000') || !text.isWellFormed())
      faults.push({ pointer, message: 'is text that cannot be stored', fix: 'Remove \\0 and lone surrogates.' })
  }
  const visit = (value: unknown, pointer: string, depth: number): void => {
    left.values -= 1
    if (left.values < 0 || left.chars < 0) throw new TooMuchError('the manifest is too large with its aliases resolved')
    if (depth > DEPTH_MAX) throw new TooMuchError(`the manifest is nested more than ${DEPTH_MAX} levels deep`)
    if (typeof value === 'string') visitText(value, pointer)
    else if (typeof value === 'number' && !Number.isFinite(value))
      faults.push({ pointer, message: `is a number that cannot be stored (${value})` })
    else if (Array.isArray(value))
      for (const [index, one] of value.entries()) visit(one, `${pointer}/${index}`, depth + 1)
    else if (typeof value === 'object' && value !== null) {
      for (const [key, member] of Object.entries(value)) {
        const at = `${pointer}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`
        visitText(key, at)
        visit(member, at, depth + 1)
      }
    }
  }
  try {
    visit(root, '', 0)
  } catch (error) {
    if (!(error instanceof TooMuchError)) throw error
    return [{ pointer: '', message: error.message }]
  }
  return faults
}

class TooMuchError extends Error {}
