import type { Scope } from '@hypercode/contracts'
import { AppError } from '@hypercode/http'

/**
 * The scopes that a token gets: those asked for, or all of the client when none is. Throws insufficient_scope, naming them, when the
 * client does not hold all that it asks for.
 */
export function grantedScopes(held: readonly Scope[], asked: string | undefined): readonly Scope[] {
  const words = [...new Set((asked ?? '').split(' ').filter((word) => word !== ''))]
  if (words.length === 0) return held
  const missing = words.filter((word) => !held.some((scope) => scope === word))
  if (missing.length > 0) {
    throw new AppError('insufficient_scope', {
      detail: `The client does not hold ${missing.join(' ')}.`,
      fix: 'Ask for scopes of the client only, or for none to get them all.',
    })
  }
  return held.filter((scope) => words.includes(scope))
}

/** Nobody can give, or get hold of, more than they have: throws insufficient_scope with what the caller lacks. */
export function refuseBeyond(caller: ReadonlySet<string>, scopes: readonly Scope[]): void {
  const missing = scopes.filter((scope) => !caller.has(scope))
  if (missing.length === 0) return
  throw new AppError('insufficient_scope', {
    detail: `The token lacks ${missing.join(' ')}, which the client would hold.`,
    fix: `Ask for a token with the scope ${missing.join(' ')}, or leave it out.`,
  })
}
