import type { TObject } from '@sinclair/typebox'
import { secretKindOf } from './kinds.ts'
import { maskUrl } from './url-secret.ts'

/** The configuration for the start-up log line: every secret is `[secret]`, URLs keep all but their password. */
export function describeConfig(config: object, schema: TObject): Record<string, unknown> {
  const entries = Object.entries(config).map(([variable, value]): [string, unknown] => {
    const property = schema.properties[variable]
    const kind = property === undefined ? 'general' : secretKindOf(property)
    if (kind === undefined) return [variable, value]
    return [variable, kind.endsWith('-url') ? maskUrl(String(value)) : '[secret]']
  })
  return Object.fromEntries(entries)
}
