import { TokenClaims } from '@hypercode/contracts'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import { LRUCache } from 'lru-cache'
import { AppError } from './app-error.ts'
import type { Principal } from './principal.ts'
import { refusalReason } from './signed-tokens.ts'
import type { SignedToken } from './signed-tokens.ts'
import type { SigningKey, TokenKeys } from './token-keys.ts'

/** How a service knows a good access token. */
export interface AuthOptions {
  readonly issuer: string
  readonly audience: string
  readonly keys: TokenKeys
  /** Lets the service issue tokens by `app.jwt.sign(claims)`; only the gateway does. */
  readonly signing?: SigningKey
  /** Asked for every request, also for a token that was checked before. */
  readonly isRevoked?: (claims: TokenClaims) => boolean
}

export interface TokenVerifier {
  /** Who a token belongs to that was checked a moment ago; undefined when it has to be checked. */
  readonly recall: (token: string) => Principal | undefined
  /** Checks a token in full. Rejects with token_invalid, or with unavailable when the keys cannot be had. */
  readonly verify: (token: string) => Promise<Principal>
}

/** Longer than any token that the platform issues; a longer one is not worth a signature check. */
const TOKEN_LENGTH_MAX = 4096
/** Longest life of a token, with room for the clocks. */
const LIFE_MAX_S = 900 + 60
const CLOCK_SKEW_S = 60
/** A checked token is checked again after this time, so a key that was withdrawn stops counting. */
const CHECKED_FOR_MS = 60_000
const CHECKED_MAX = 10_000

interface Checked {
  readonly principal: Principal
  readonly claims: TokenClaims
}

/**
 * `readSigned` checks signature, algorithm, type, issuer and audience. Then the claims have to fit their schema, because libraries
 * let pass what no one should (an `exp` of 1e400 or in milliseconds, an `iat` of next year, a `sub` that is an object, a list of
 * audiences, an empty `crit`).
 */
export function createTokenVerifier(
  options: AuthOptions,
  readSigned: (token: string) => SignedToken | Promise<SignedToken>,
): TokenVerifier {
  // An empty name would be taken for "any" when tokens are checked.
  if (options.issuer === '' || options.audience === '') throw new TypeError('issuer and audience must not be empty')
  const claimsFit = TypeCompiler.Compile(TokenClaims)
  const checked = new LRUCache<string, Checked>({ max: CHECKED_MAX, ttl: CHECKED_FOR_MS })
  const { isRevoked } = options

  return {
    recall(token) {
      const known = checked.get(token)
      if (known === undefined) return undefined
      if (known.claims.exp * 1000 <= Date.now() || isRevoked?.(known.claims) === true) {
        checked.delete(token)
        return undefined
      }
      return known.principal
    },

    async verify(token) {
      if (token.length > TOKEN_LENGTH_MAX) throw tokenInvalid('The token is longer than allowed.')
      const claims: unknown = await signedClaims(token)
      if (!claimsFit.Check(claims)) throw tokenInvalid('The claims of the token are not as they should be.')
      if (claims.iss !== options.issuer) throw tokenInvalid('The "iss" of the token is not accepted here.')
      if (claims.aud !== options.audience) throw tokenInvalid('The "aud" of the token is not accepted here.')
      checkTimes(claims)
      if (isRevoked?.(claims) === true) throw tokenInvalid('The token has been revoked.')
      const principal = principalOf(claims)
      checked.set(token, { principal, claims })
      return principal
    },
  }

  async function signedClaims(token: string): Promise<unknown> {
    let signed: SignedToken
    try {
      signed = await readSigned(token)
    } catch (error) {
      const reason = refusalReason(error)
      throw reason instanceof AppError ? reason : tokenInvalid(reason, error)
    }
    // RFC 7515, 4.1.11: whatever `crit` holds, it is nothing that is understood here.
    if ('crit' in signed.header) throw tokenInvalid('The token is malformed.')
    return signed.payload
  }
}

export function tokenInvalid(detail: string, cause?: unknown): AppError {
  return new AppError('token_invalid', {
    detail,
    headers: { 'www-authenticate': 'Bearer error="invalid_token"' },
    cause,
  })
}

function checkTimes({ iat, exp }: TokenClaims): void {
  if (exp * 1000 <= Date.now()) throw tokenInvalid('The token has expired.')
  if (iat > Date.now() / 1000 + CLOCK_SKEW_S) throw tokenInvalid('The token was issued in the future.')
  if (exp <= iat || exp - iat > LIFE_MAX_S) throw tokenInvalid('The token lives longer than allowed.')
}

function principalOf(claims: TokenClaims): Principal {
  return {
    subject: claims.sub,
    clientId: claims.sub.split('/', 1)[0] ?? claims.sub,
    tenantId: claims.tenant,
    scopes: new Set(claims.scope.split(' ').filter((scope) => scope !== '')),
    tokenId: claims.jti,
  }
}
