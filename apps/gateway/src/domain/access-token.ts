import { newId } from '@hypercode/contracts'
import type { Scope, TokenClaims } from '@hypercode/contracts'

/** Who gets a token and what it may do. */
export interface Grant {
  readonly clientId: string
  /** Name of one process among several of the client; becomes the second part of the subject. */
  readonly instance?: string | undefined
  readonly tenantId: string
  readonly scopes: readonly Scope[]
}

export interface TokenPolicy {
  readonly issuer: string
  readonly audience: string
  readonly ttlS: number
}

/** Claims of an access token as RFC 9068 has them, with the tenant. */
export interface AccessClaims extends TokenClaims {
  readonly client_id: string
}

/** The claims of a new token that begins to live now. */
export function accessClaims(grant: Grant, policy: TokenPolicy, nowMs = Date.now()): AccessClaims {
  const iat = Math.floor(nowMs / 1000)
  return {
    iss: policy.issuer,
    aud: policy.audience,
    sub: grant.instance === undefined ? grant.clientId : `${grant.clientId}/${grant.instance}`,
    client_id: grant.clientId,
    tenant: grant.tenantId,
    scope: grant.scopes.join(' '),
    jti: newId(),
    iat,
    exp: iat + policy.ttlS,
  }
}
