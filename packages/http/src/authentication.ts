import fastifyJwt from '@fastify/jwt'
import { withContext } from '@hypercode/telemetry'
import fp from 'fastify-plugin'
import { AppError } from './app-error.ts'
import type { Principal } from './principal.ts'
import { jwtOptions } from './signed-tokens.ts'
import { createKeySource } from './token-keys.ts'
import { createTokenVerifier, tokenInvalid } from './token-verifier.ts'
import type { AuthOptions } from './token-verifier.ts'
import type {} from './service-app.ts'

/** Derived by the framework or by CORS; they answer with no data of their own. */
const EXEMPT = new Set(['HEAD', 'OPTIONS'])

/**
 * Lets a request in by its token, before its body is read. A route that declares neither scopes nor `public: true` stops the boot,
 * so nothing is open by accident.
 */
export const authentication = fp<AuthOptions>(
  async (app, options) => {
    await app.register(fastifyJwt, jwtOptions(options, createKeySource(options.keys)))
    const verifier = createTokenVerifier(options, (token) => app.jwt.verify(token))
    app.decorate('tokens', verifier)

    app.decorateRequest('admitted', null)
    app.decorateRequest('principal', {
      getter() {
        const principal = this.admitted
        if (principal === null || principal === undefined)
          throw new TypeError(`${this.method} ${this.routeOptions.url} is public: it has no principal`)
        return principal
      },
    })

    app.addHook('onRequest', (request, _reply, done) => {
      const scopes: readonly string[] | undefined = request.routeOptions.config?.scopes
      if (scopes === undefined) {
        done()
        return
      }
      const admit = (principal: Principal): void => {
        const missing = scopes.filter((scope) => !principal.scopes.has(scope))
        if (missing.length > 0) {
          done(insufficientScope(missing, scopes))
          return
        }
        request.admitted = principal
        withContext({ tenantId: principal.tenantId }, done)
      }
      let token: string
      try {
        token = bearerToken(request.headers.authorization)
      } catch (error) {
        done(error as Error)
        return
      }
      const known = verifier.recall(token)
      if (known === undefined) verifier.verify(token).then(admit, done)
      else admit(known)
    })
  },
  { name: 'authentication', fastify: '5.x' },
)

/** For a route whose body says which scopes it needs beside its own: throws insufficient_scope with what the token lacks. */
export function requireScopes(principal: Principal, scopes: readonly string[]): void {
  const missing = scopes.filter((scope) => !principal.scopes.has(scope))
  if (missing.length > 0) throw insufficientScope(missing, scopes)
}

/** Throws for a route without a policy. The server calls it for every route, before anything else can be registered. */
export function checkPolicy(
  method: string,
  url: string,
  config: { scopes?: readonly string[]; public?: true } = {},
): void {
  const { scopes } = config
  if (scopes !== undefined && config.public !== undefined)
    throw new TypeError(`${method} ${url} declares scopes and is public`)
  if (scopes !== undefined && scopes.length === 0)
    throw new TypeError(`${method} ${url} declares an empty list of scopes`)
  if (scopes === undefined && config.public !== true && !EXEMPT.has(method))
    throw new TypeError(`${method} ${url} declares no scopes`)
}

function bearerToken(header: string | undefined): string {
  if (header === undefined) throw new AppError('token_missing', { headers: { 'www-authenticate': 'Bearer' } })
  const match = /^Bearer +([\w-]+\.[\w-]+\.[\w-]*)$/i.exec(header)
  if (match?.[1] === undefined) throw tokenInvalid('The Authorization header does not hold a bearer token.')
  return match[1]
}

function insufficientScope(missing: readonly string[], needed: readonly string[]): AppError {
  return new AppError('insufficient_scope', {
    detail: `The token lacks ${missing.join(' ')}.`,
    fix: `Ask for a token with the scope ${missing.join(' ')}.`,
    headers: { 'www-authenticate': `Bearer error="insufficient_scope", scope="${needed.join(' ')}"` },
  })
}
