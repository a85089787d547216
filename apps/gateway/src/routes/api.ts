import { AppError, openapiDocument } from '@hypercode/http'
import type { ServiceApp } from '@hypercode/http'
import type { GatewayConfig } from '../config.ts'
import { limitRate } from '../limits/rate-limit.ts'
import { createSharedCounter } from '../limits/shared-counter.ts'
import { VERSION } from '../parts.ts'
import type { GatewayDeps, Parts, ProxiedService } from '../parts.ts'
import { auditRoutes } from './audit.ts'
import { authRoutes } from './auth.ts'
import { clientRoutes } from './clients.ts'
import { docsRoutes } from './docs.ts'
import { eventStreamRoutes } from './event-streams.ts'
import { proxyRoutes } from './proxy.ts'

/** Everything that callers come for; health and metrics stand outside, so that no limit keeps a probe away. */
export async function apiRoutes(
  scope: ServiceApp,
  config: GatewayConfig,
  deps: GatewayDeps,
  parts: Parts,
): Promise<void> {
  const { log, metrics } = deps
  const { db } = deps.database
  const { secrets, state } = parts
  const { revocations } = parts.backbone
  await limitCallers(scope, config, deps)
  authRoutes(scope, {
    db,
    metrics,
    secrets,
    keys: parts.keys,
    policy: { issuer: config.JWT_ISSUER, audience: config.JWT_AUDIENCE, ttlS: config.TOKEN_TTL_S },
    sign: (claims) => scope.jwt.sign(claims),
    verifier: scope.tokens,
    revocations,
  })
  clientRoutes(scope, { db, secrets, revocations, tokenLifeS: config.TOKEN_TTL_S })
  auditRoutes(scope, db)
  for (const [service, upstream] of Object.entries(parts.upstreams)) {
    proxyRoutes(scope, service as ProxiedService, upstream)
  }
  eventStreamRoutes(scope, {
    db,
    hub: parts.hub,
    revocations,
    maxStreams: config.SSE_STREAMS_MAX,
    onReadError: (err) => {
      log.warn({ err }, 'events could not be read')
      state.lookAgain = true
    },
  })
  docsRoutes(scope, () => openapiDocument(scope.implemented, { title: 'HyperCode', version: VERSION }))
}

/** A refused token counts against the address that it came from, as a request without one does. */
async function limitCallers(scope: ServiceApp, config: GatewayConfig, deps: GatewayDeps): Promise<void> {
  const counter = createSharedCounter({
    redis: deps.redis,
    keyOf: deps.keys.rate,
    onError: (err) => deps.log.debug({ err }, 'rate limits are kept by this replica alone'),
  })
  const limit = await limitRate(scope, {
    counter,
    metrics: deps.metrics,
    perSubject: config.RATE_LIMIT_PER_MINUTE,
    perAddress: config.RATE_LIMIT_IP_PER_MINUTE,
  })
  scope.setErrorHandler((error, request) => {
    const refused = error instanceof AppError && error.status === 401 && request.routeOptions.config.public !== true
    if (refused) limit.countRefused(request)
    throw error
  })
}
