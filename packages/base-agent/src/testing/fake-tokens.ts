import { createHmac, randomBytes } from 'node:crypto'
import { newId } from '@hypercode/contracts'
import type { TokenClaims } from '@hypercode/contracts'

export interface TokenIssuer {
  readonly auth: { readonly issuer: string; readonly audience: string; readonly keys: { readonly secret: string } }
  issue(claims: { readonly subject: string; readonly tenantId: string; readonly scope: string }): string
}

/** Signs access tokens with a secret of its own, for as long as the fake lives. */
export function createTokenIssuer(ttlS: number): TokenIssuer {
  const secret = randomBytes(48).toString('base64url')
  const auth = { issuer: 'http://fake.test', audience: 'hypercode', keys: { secret } }
  return {
    auth,
    issue: ({ subject, tenantId, scope }) => {
      const iat = Math.floor(Date.now() / 1000)
      const claims: TokenClaims = {
        iss: auth.issuer,
        aud: auth.audience,
        sub: subject,
        tenant: tenantId,
        scope,
        jti: newId(),
        iat,
        exp: iat + ttlS,
      }
      const text = `${encode({ alg: 'HS256', typ: 'at+jwt' })}.${encode(claims)}`
      return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`
    },
  }
}

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
