import { KindGuard } from '@sinclair/typebox'
import type { TSchema } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'

/** A value of the schema's type, or what the variable has to be. */
export type Converted = { value: unknown } | { problem: string; fix: string }

/** Turns the text of a variable into what its schema asks for and checks it. Nothing is trimmed or guessed. */
export function convert(schema: TSchema, text: string): Converted {
  const wanted = wantedText(schema)
  const fix = typeof schema['fix'] === 'string' ? schema['fix'] : `set it to ${wanted}`
  if (text !== text.trim()) return { problem: 'begins or ends with white space or a line break', fix }
  const value = parse(schema, text)
  if (value === undefined || !Value.Check(schema, value)) return { problem: `is not ${wanted}`, fix }
  if (schema['urlKind'] === 'http' && !isHttpUrl(text)) return { problem: `is not ${wanted}`, fix }
  return { value }
}

/** `undefined` when the text is not of the type at all. */
function parse(schema: TSchema, text: string): unknown {
  if (KindGuard.IsInteger(schema)) return /^-?\d{1,15}$/.test(text) ? Number(text) : undefined
  if (KindGuard.IsNumber(schema)) return /^-?\d{1,15}(\.\d{1,15})?$/.test(text) ? Number(text) : undefined
  if (KindGuard.IsBoolean(schema)) return text === 'true' ? true : text === 'false' ? false : undefined
  if (KindGuard.IsArray(schema)) {
    const items = text.split(',').map((item) => parse(schema.items, item.trim()))
    return items.includes(undefined) ? undefined : Object.freeze(items)
  }
  if (KindGuard.IsLiteral(schema)) return String(schema.const) === text ? schema.const : undefined
  if (KindGuard.IsUnion(schema))
    return schema.anyOf.map((option) => parse(option, text)).find((value) => value !== undefined)
  return text
}

/** What the schema asks for, in words: "an integer from 1 to 65535". */
function wantedText(schema: TSchema): string {
  if (KindGuard.IsInteger(schema)) return `an integer${range(schema)}`
  if (KindGuard.IsNumber(schema)) return `a number${range(schema)}`
  if (KindGuard.IsBoolean(schema)) return 'true or false'
  if (KindGuard.IsArray(schema)) return `a list, separated by commas, of ${wantedText(schema.items)} each`
  if (KindGuard.IsLiteral(schema)) return String(schema.const)
  if (KindGuard.IsUnion(schema)) return schema.anyOf.map((option) => wantedText(option)).join(', or ')
  if (schema['urlKind'] === 'http') return 'an http:// or https:// URL without credentials in it'
  if (Array.isArray(schema['enum'])) return `one of ${schema['enum'].join(', ')}`
  if (typeof schema['pattern'] === 'string') return `text that matches ${schema['pattern']}`
  const { minLength, maxLength } = schema as { minLength?: number; maxLength?: number }
  if (maxLength !== undefined) return `text of ${minLength ?? 1} to ${maxLength} characters`
  return minLength === undefined ? 'text' : `text of at least ${minLength} characters`
}

function range({ minimum, maximum }: { minimum?: number; maximum?: number }): string {
  if (minimum !== undefined && maximum !== undefined) return ` from ${minimum} to ${maximum}`
  if (minimum !== undefined) return ` of at least ${minimum}`
  return maximum === undefined ? '' : ` of at most ${maximum}`
}

function isHttpUrl(text: string): boolean {
  if (!URL.canParse(text)) return false
  const url = new URL(text)
  return /^https?:$/.test(url.protocol) && url.username === '' && url.password === ''
}
