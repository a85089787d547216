import type { SourceFile } from '../source/source-file.ts'
import { unquote } from './config-secrets.ts'
import { secrecyOf } from './names.ts'
import { classify } from './values.ts'

export interface EnvSecret {
  readonly line: number
  readonly name: string
  readonly value: string
}

/** The variables of an env file that hold a secret; empty values and references are none. */
export function envSecrets(file: SourceFile): EnvSecret[] {
  return file.lines.flatMap((text, index) => {
    const match = /^\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*?)\s*$/.exec(text)
    if (match?.[1] === undefined) return []
    const value = unquote(match[2] ?? '')
    const isSecret = secrecyOf(match[1]) !== undefined && classify(value) !== 'reference'
    const isUrl = /:\/\/[^\s:@/]*:[^\s@/${]+@/.test(value)
    return isSecret || isUrl ? [{ line: index + 1, name: match[1], value }] : []
  })
}
