import type { FastifyJWTOptions } from '@fastify/jwt'
import { errors } from 'jose'
import { AppError } from './app-error.ts'
import type { KeySource } from './token-keys.ts'
import type { AuthOptions } from './token-verifier.ts'

/** A token whose signature is right. */
export interface SignedToken {
  readonly header: Readonly<Record<string, unknown>>
  readonly payload: unknown
}

const TYPE = 'at+jwt'

/** How @fastify/jwt checks access tokens, and signs them in the service that has a key for it. */
export function jwtOptions(
  { issuer, audience, signing }: AuthOptions,
  { algorithm, key }: KeySource,
): FastifyJWTOptions {
  return {
    secret: { public: key, ...(signing && { private: signing.key }) },
    verify: {
      algorithms: [algorithm],
      checkTyp: TYPE,
      allowedIss: issuer,
      allowedAud: audience,
      requiredClaims: ['iss', 'aud', 'sub', 'exp', 'iat', 'jti'],
      complete: true, // the header is looked at too
      cache: false, // tokens that were checked are remembered by the verifier, which asks for revocations as well
    },
    ...(signing && {
      sign: {
        algorithm: signing.algorithm,
        header: { alg: signing.algorithm, typ: TYPE },
        ...(signing.keyId !== undefined && { kid: signing.keyId }),
      },
    }),
  }
}

/** What to tell the caller about a token that @fastify/jwt has refused; an AppError when the token is not to blame. */
export function refusalReason(error: unknown): string | AppError {
  if (!(error instanceof Error)) return MALFORMED
  if (error instanceof AppError) return error
  if (error instanceof errors.JOSEAlgNotAllowed) return ALGORITHM
  if (error instanceof errors.JWKSNoMatchingKey) return SIGNATURE
  const { code = '', originalError } = error as Error & { code?: string; originalError?: unknown }
  if (code === 'FAST_JWT_KEY_FETCHING_ERROR' && originalError !== undefined) return refusalReason(originalError)
  if (CLAIM_CODES.has(code)) {
    const claim = /\b(\w+) claim\b/.exec(error.message)?.[1]
    return claim === undefined ? MALFORMED : notAccepted(claim)
  }
  return REASONS[code] ?? MALFORMED
}

const notAccepted = (claim: string): string => `The "${claim}" of the token is not accepted here.`

const MALFORMED = 'The token is malformed.'
const ALGORITHM = 'The algorithm of the token is not accepted here.'
const SIGNATURE = 'The token is not signed with a key that is accepted here.'

/** Errors whose message names the claim. */
const CLAIM_CODES = new Set([
  'FAST_JWT_MISSING_REQUIRED_CLAIM',
  'FAST_JWT_INVALID_CLAIM_TYPE',
  'FAST_JWT_INVALID_CLAIM_VALUE',
])

const REASONS: Readonly<Record<string, string>> = {
  FAST_JWT_EXPIRED: 'The token has expired.',
  FAST_JWT_INACTIVE: notAccepted('nbf'),
  FAST_JWT_INVALID_TYPE: notAccepted('typ'),
  FAST_JWT_INVALID_ALGORITHM: ALGORITHM,
  FAST_JWT_INVALID_SIGNATURE: SIGNATURE,
  FAST_JWT_MISSING_SIGNATURE: SIGNATURE,
}
