import { Type } from '@sinclair/typebox'

const DURATION = '^([1-9][0-9]{0,8}(ms|s)|[1-9][0-9]{0,6}m|[1-9][0-9]{0,4}h|[1-9][0-9]{0,3}d)$'

/** A length of time as people write it: `500ms`, `2s`, `10m`, `2h`, `7d`. Each unit goes up to some decades, never to the end of time. */
export const Duration = Type.String({ pattern: DURATION })

const UNIT_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** Milliseconds of a `Duration`. */
export function durationMs(text: string): number {
  if (!new RegExp(DURATION).test(text)) throw new TypeError('not a duration')
  const unit = text.replace(/^[0-9]+/, '') as keyof typeof UNIT_MS
  return Number.parseInt(text, 10) * UNIT_MS[unit]
}
