import type { ConfigProblem } from './config-error.ts'
import { FIX } from './judge-secret.ts'
import type { SecretKind } from './kinds.ts'
import { passwordOf, userOf } from './url-secret.ts'

/** A secret as it was read, for comparison with others. */
export type SecretValue = { variable: string; kind: SecretKind; text: string }

type Env = Readonly<Record<string, string | undefined>>

/** One problem for a group of which nothing is set, one for each variable of a group of which several are. */
export function exactlyOneProblems(groups: readonly (readonly string[])[], env: Env): ConfigProblem[] {
  return groups.flatMap((group) => {
    const set = group.filter((name) => isSet(env[name]) || isSet(env[`${name}_FILE`]))
    if (set.length === 1) return []
    const [first = '', ...others] = group
    const fix = `set exactly one of ${group.join(', ')}`
    if (set.length === 0)
      return [{ variable: first, problem: `is not set, and neither is ${others.join(' or ')}`, fix }]
    return set.map((variable) => {
      const rest = set.filter((name) => name !== variable)
      return { variable, problem: `is set, and so is ${rest.join(' and ')}`, fix }
    })
  })
}

/** Two variables that hold one secret fall together; each of them is named. */
export function repeatProblems(secrets: readonly SecretValue[]): ConfigProblem[] {
  return secrets.flatMap((secret) => {
    const same = secrets.filter((other) => other !== secret && isRepeat(secret, other)).map(({ variable }) => variable)
    if (same.length === 0) return []
    return [
      { variable: secret.variable, problem: `has the same value as ${same.join(' and ')}`, fix: FIX[secret.kind] },
    ]
  })
}

/** A secret that was copied out of `.env.example` is known to everybody. */
export function exampleProblems(secrets: readonly SecretValue[], exampleValues: Env): ConfigProblem[] {
  return secrets.flatMap(({ variable, kind, text }) => {
    const sample = exampleValues[variable] ?? ''
    if (sample === '' || core(kind, sample) !== core(kind, text)) return []
    return [{ variable, problem: 'still has the value that .env.example shows', fix: FIX[kind] }]
  })
}

/** One role of one database may well be reached through two URLs; everything else must differ. */
function isRepeat(a: SecretValue, b: SecretValue): boolean {
  const isSameLogin = a.kind === b.kind && a.kind.endsWith('-url') && userOf(a.text) === userOf(b.text)
  return !isSameLogin && core(a.kind, a.text) === core(b.kind, b.text)
}

/** The part of a variable that has to be secret, without the white space that a copy may have gained. */
function core(kind: SecretKind, text: string): string {
  return (kind.endsWith('-url') ? (passwordOf(text) ?? text) : text).trim()
}

function isSet(text: string | undefined): boolean {
  return text !== undefined && text !== ''
}
