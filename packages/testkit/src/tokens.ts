import { createHmac, randomBytes } from 'node:crypto'
import { newId } from '@hypercode/contracts'
import type { Scope } from '@hypercode/contracts'

export const TEST_ISSUER = 'https://hypercode.test'
export const TEST_AUDIENCE = 'hypercode'

export interface TokenOptions {
  tenantId: string
  scopes: readonly Scope[]
  /** Client id, or client id/instance. A new client when not given. */
  subject?: string
  /** Seconds from now; may be negative. Default 600. */
  ttlS?: number
  tokenId?: string
  issuer?: string
  audience?: string
  /** Replaces or adds claims, whatever they are; `undefined` removes one. */
  claims?: Readonly<Record<string, unknown>>
  /** Replaces or adds members of the header. */
  header?: Readonly<Record<string, unknown>>
}

/** An access token as the gateway would sign it with a shared secret (HS256). */
export function signToken(secret: string, options: TokenOptions): string {
  const nowS = Math.floor(Date.now() / 1000)
  const header = { alg: 'HS256', typ: 'at+jwt', ...options.header }
  const claims = {
    iss: options.issuer ?? TEST_ISSUER,
    aud: options.audience ?? TEST_AUDIENCE,
    sub: options.subject ?? newId(),
    tenant: options.tenantId,
    scope: options.scopes.join(' '),
    jti: options.tokenId ?? newId(),
    // An expired token was issued before it expired.
    iat: Math.min(nowS, nowS + (options.ttlS ?? 600) - 1),
    exp: nowS + (options.ttlS ?? 600),
    ...options.claims,
  }
  const signed = `${encode(header)}.${encode(claims)}`
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
}

/** A secret that the secret validator accepts and nothing else knows. */
export const randomSecret = (): string => randomBytes(48).toString('base64url')

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
