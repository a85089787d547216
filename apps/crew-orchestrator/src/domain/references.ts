/**
 * `${…}` in a manifest: a look-up of a path, never an expression. Paths begin at `mission`, `tasks`, `item` or `index`; members are
 * separated by dots, array elements are written `.0` or `[0]`, and arrays and texts have a `length`.
 */
export type Path = readonly string[]

const REFERENCE = /\$\{([^{}]*)\}/g
/** Characters of a path; it stands in error messages. */
const PATH_MAX = 500
const PATH = /^[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+|\[[0-9]{1,6}\])*$/

export const ROOTS = ['mission', 'tasks', 'item', 'index'] as const

/** Thrown when a path leads nowhere in the data at hand. */
export class ReferenceError extends Error {
  override readonly name = 'ReferenceError'
}

/** The path of `a.b[0]`, or undefined when the text is none. */
export function parsePath(text: string): Path | undefined {
  const trimmed = text.trim()
  return trimmed.length <= PATH_MAX && PATH.test(trimmed) ? trimmed.replace(/\[(\d+)\]/g, '.$1').split('.') : undefined
}

/** Every `${…}` of a text, as written between the braces. */
export const referencesIn = (text: string): string[] => [...text.matchAll(REFERENCE)].map((match) => match[1] as string)

/** Told how many characters come into the result, of the template or of a reference, before they do; may throw a ReferenceError. */
export type Spend = (chars: number) => void

/**
 * Fills a template. A text that is one reference becomes the value itself, with its type; inside a longer text, values are written out
 * (objects as JSON). Everything else is copied. A template can name a large value many times, and the elements of a forEach each have
 * the whole of it: `spend` sets a bound to that.
 */
export function fill(template: unknown, scope: Readonly<Record<string, unknown>>, spend?: Spend): unknown {
  if (typeof template === 'string') return fillText(template, scope, spend)
  if (Array.isArray(template)) return template.map((element) => fill(element, scope, spend))
  if (typeof template === 'object' && template !== null) {
    return Object.fromEntries(
      Object.entries(template).map(([key, value]) => {
        spend?.(key.length)
        return [key, fill(value, scope, spend)]
      }),
    )
  }
  spend?.(SCALAR_CHARS)
  return template
}

/** About as much as a number, true, false or null takes. */
const SCALAR_CHARS = 5

function fillText(text: string, scope: Readonly<Record<string, unknown>>, spend: Spend | undefined): unknown {
  const whole = /^\$\{([^{}]*)\}$/.exec(text)
  if (whole?.[1] !== undefined) {
    const value = lookUp(whole[1], scope)
    if (spend !== undefined) spend(written(value).length)
    return value
  }
  spend?.(text.length)
  return text.replace(REFERENCE, (_, path: string) => {
    const value = written(lookUp(path, scope))
    spend?.(value.length)
    return value
  })
}

const written = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value))

/** Through null the answer is null (a skipped task has no output); a member that an object lacks is an error that names it. */
export function lookUp(text: string, scope: Readonly<Record<string, unknown>>): unknown {
  const path = parsePath(text)
  if (path === undefined) throw new ReferenceError(`\${${text}} is not a path`)
  let value: unknown = scope
  for (const [depth, member] of path.entries()) {
    if (value === null || value === undefined) return null
    const next = memberOf(value, member)
    if (next === undefined)
      throw new ReferenceError(`\${${text}}: ${path.slice(0, depth).join('.') || 'the scope'} has no "${member}"`)
    value = next
  }
  return value
}

function memberOf(value: unknown, member: string): unknown {
  if (member === 'length' && (Array.isArray(value) || typeof value === 'string')) return value.length
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, member)) return undefined
  return (value as Record<string, unknown>)[member]
}
