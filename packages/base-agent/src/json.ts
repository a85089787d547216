import { createHash } from 'node:crypto'

/** What a value becomes on its way through JSON: dates turn into text, `undefined` into null, methods vanish. */
export type Jsonified<T> = unknown extends T
  ? T
  : T extends string | number | boolean | null
    ? T
    : T extends undefined | void
      ? null
      : T extends { toJSON: () => infer J }
        ? Jsonified<J>
        : T extends (...args: never[]) => unknown
          ? never
          : T extends symbol | bigint
            ? never
            : T extends readonly unknown[]
              ? { [K in keyof T]: Jsonified<T[K]> }
              : T extends object
                ? { [K in keyof T as JsonKey<T, K>]: JsonProperty<T, K> }
                : never

type JsonKey<T, K extends keyof T> = K extends string | number
  ? T[K] extends ((...args: never[]) => unknown) | symbol
    ? never
    : K
  : never
/** A property that may be undefined may be missing; one that is optional is so already. */
type JsonProperty<T, K extends keyof T> = unknown extends T[K]
  ? T[K]
  : undefined extends T[K]
    ? Jsonified<Exclude<T[K], undefined>> | (Record<never, never> extends Pick<T, K> ? never : undefined)
    : Jsonified<T[K]>

export interface JsonText {
  readonly text: string
  /** The value as a reader of the text sees it. */
  readonly value: unknown
  readonly bytes: number
}

/**
 * The value as JSON, `undefined` as null.
 * @throws {TypeError} when there is no JSON for it: a function, a symbol, a bigint, a ring
 */
export function toJson(value: unknown): JsonText {
  const text = JSON.stringify(value === undefined ? null : value) as string | undefined
  if (text === undefined) throw new TypeError(`a ${typeof value} is not JSON`)
  return { text, value: JSON.parse(text), bytes: Buffer.byteLength(text) }
}

/** JSON with the keys of every object in order, so that equal values have equal text. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(inOrder(toJson(value).value))
}

/** SHA-256 of the canonical JSON, in hex. */
export const hashOf = (value: unknown): string => createHash('sha256').update(canonicalJson(value)).digest('hex')

function inOrder(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inOrder)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
  return Object.fromEntries(entries.map(([key, item]) => [key, inOrder(item)]))
}
