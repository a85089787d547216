import { Id, ROUTES } from '@hypercode/contracts'
import type { TokenClaims } from '@hypercode/contracts'
import { addRevocation, inTransaction, writeAudit } from '@hypercode/db'
import type { Db, RevocationList } from '@hypercode/db'
import { AppError, implement } from '@hypercode/http'
import type { ServiceApp, TokenVerifier } from '@hypercode/http'
import type { Metrics } from '@hypercode/telemetry'
import { decodeJwt } from 'jose'
import { accessClaims } from '../domain/access-token.ts'
import type { AccessClaims, TokenPolicy } from '../domain/access-token.ts'
import { clientCredentials, clientInvalid } from '../domain/client-credentials.ts'
import type { ClientCredentials } from '../domain/client-credentials.ts'
import { grantedScopes } from '../domain/scopes.ts'
import type { SecretCheck } from '../domain/secret-check.ts'
import type { SigningKeys } from '../domain/signing-keys.ts'
import { findLogin } from '../store/clients.ts'
import type { ClientLogin } from '../store/clients.ts'

export interface AuthRouteDeps {
  readonly db: Db
  readonly metrics: Metrics
  readonly secrets: SecretCheck
  readonly keys: SigningKeys
  readonly policy: TokenPolicy
  readonly sign: (claims: AccessClaims) => string
  readonly verifier: TokenVerifier
  readonly revocations: RevocationList
}

/** OAuth 2: tokens by client credentials (RFC 6749), revocation (RFC 7009) and the public keys (RFC 7517). */
export function authRoutes(app: ServiceApp, deps: AuthRouteDeps): void {
  const { db, secrets, keys, policy } = deps
  const issued = deps.metrics.counter({ name: 'hypercode_tokens_issued_total', help: 'Access tokens issued' })
  const refused = deps.metrics.counter({ name: 'hypercode_tokens_refused_total', help: 'Client logins refused' })

  const login = async (credentials: ClientCredentials): Promise<ClientLogin> => {
    const known = isId(credentials.clientId) ? await findLogin(db, credentials.clientId) : undefined
    // The same work and the same answer, whether the client is unknown, is revoked, or shows a wrong secret.
    const right = await secrets.verify(credentials.clientId, credentials.secret, known?.secretHash)
    if (known !== undefined && right) return known
    refused.inc({})
    throw clientInvalid()
  }

  implement(app, ROUTES.issueToken, async (request, reply) => {
    const { scope, instance } = request.body
    const client = await login(clientCredentials(request.headers.authorization, request.body))
    const scopes = grantedScopes(client.scopes, scope)
    const claims = accessClaims({ clientId: client.id, instance, tenantId: client.tenantId, scopes }, policy)
    issued.inc({})
    // RFC 6749, 5.1: a token must not stay in a cache on the way.
    reply.header('cache-control', 'no-store').header('pragma', 'no-cache')
    return {
      access_token: deps.sign(claims),
      token_type: 'Bearer' as const,
      expires_in: policy.ttlS,
      scope: claims.scope,
    }
  })

  implement(app, ROUTES.revokeToken, async (request, reply) => {
    const { token } = request.body
    const client = await login(clientCredentials(request.headers.authorization, request.body))
    const claims = await goodClaims(deps.verifier, token)
    // RFC 7009, 2.2: a token that is not valid anyway needs nothing.
    if (claims === undefined) return reply.code(200).send()
    if (claims.sub.split('/', 1)[0] !== client.id) {
      throw new AppError('unprocessable', { detail: 'The token was issued to another client.' })
    }
    await inTransaction(db, async (trx) => {
      const lifeS = Math.max(0, claims.exp - Math.floor(Date.now() / 1000))
      await addRevocation(trx, { tenantId: client.tenantId, kind: 'token', ref: claims.jti, lifeS })
      const entry = { tenantId: client.tenantId, actor: client.id, action: 'token.revoked', ref: claims.jti }
      await writeAudit(trx, [{ ...entry, detail: { subject: claims.sub } }])
    })
    await deps.revocations.refresh()
    return reply.code(200).send()
  })

  implement(app, ROUTES.getJwks, (_request, reply) => {
    reply.header('cache-control', 'public, max-age=60')
    return { keys: keys.jwks.keys.map((key) => ({ ...key })) }
  })
}

const ID = new RegExp(Id.pattern ?? '')
const isId = (text: string): boolean => ID.test(text)

/** The claims of a token that would be let in now; undefined for any other text. */
async function goodClaims(verifier: TokenVerifier, token: string): Promise<TokenClaims | undefined> {
  try {
    if (verifier.recall(token) === undefined) await verifier.verify(token)
    return decodeJwt<TokenClaims>(token) as TokenClaims
  } catch (error) {
    if (error instanceof AppError && error.code === 'token_invalid') return undefined
    throw error
  }
}
