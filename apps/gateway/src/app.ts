import { createRevocationList, deleteExpiredRevocations, isConnectionError } from '@hypercode/db'
import type { DatabaseHandle, RevocationList } from '@hypercode/db'
import type { Keys } from '@hypercode/events'
import { AppError, CheckError, createLoops, createService, openapiDocument } from '@hypercode/http'
import type { AuthOptions, Loops, ServiceApp } from '@hypercode/http'
import type { Logger, Metrics } from '@hypercode/telemetry'
import type { Redis } from 'ioredis'
import { sql } from 'kysely'
import type { GatewayConfig } from './config.ts'
import { createSecretCheck } from './domain/secret-check.ts'
import { readSigningKeys } from './domain/signing-keys.ts'
import { limitRate } from './limits/rate-limit.ts'
import { createSharedCounter } from './limits/shared-counter.ts'
import { createUpstream } from './proxy/upstream.ts'
import { authRoutes } from './routes/auth.ts'
import { auditRoutes } from './routes/audit.ts'
import { clientRoutes } from './routes/clients.ts'
import { docsRoutes } from './routes/docs.ts'
import { eventStreamRoutes } from './routes/event-streams.ts'
import { proxyRoutes } from './routes/proxy.ts'
import { createEventHub } from './streams/event-hub.ts'
import { startNews } from './streams/news.ts'
import type { News } from './streams/news.ts'

export interface GatewayDeps {
  readonly log: Logger
  readonly metrics: Metrics
  readonly database: DatabaseHandle
  /** For commands that must fail fast; the tail of the event hints opens a connection of its own. */
  readonly redis: Redis
  readonly keys: Keys
  /** Longest time for a service behind to answer, 12000 by default; long-lived operations have none. */
  readonly answerMs?: number
}

export const VERSION = '0.1.0'

/** Within so long a revocation is known to every replica; each of them asks Postgres for what is new. */
const REVOCATIONS_EVERY_MS = 1000
const HOUSEKEEPING_EVERY_MS = 60_000

/** Registers everything and starts listening to the news and the loops when the app is ready; closing the app ends them. */
export async function buildApp(config: GatewayConfig, deps: GatewayDeps): Promise<ServiceApp> {
  const { log, metrics, database, redis, keys: redisKeys } = deps
  const { db } = database
  const loops = createLoops({ log, metrics })
  const revocations = createRevocationList(db)
  const loaded = refreshed(revocations, loops)
  const keys = await readSigningKeys(config)
  const auth: AuthOptions = {
    issuer: config.JWT_ISSUER,
    audience: config.JWT_AUDIENCE,
    keys: keys.accepted,
    signing: keys.signing,
    isRevoked: (claims) => revocations.isRevoked(claims),
  }
  const app = await createService({
    name: 'gateway',
    version: VERSION,
    logger: log,
    metrics,
    auth,
    trustProxy: config.TRUST_PROXY,
    isUnavailable: isConnectionError,
    openapi: { title: 'HyperCode' },
    checks: {
      postgres: async () => void (await sql`select 1`.execute(db)),
      // Without Redis events come later and limits are kept by each replica for itself, but all work goes on.
      redis: { critical: false, run: async () => void (await redis.ping()) },
      revocations: loaded,
      loops: loops.check,
    },
  })

  const hub = createEventHub({ maxStreams: config.SSE_STREAMS_MAX })
  const registry = createUpstream('agent-registry', config.REGISTRY_URL, deps.answerMs)
  const orchestrator = createUpstream('crew-orchestrator', config.ORCHESTRATOR_URL, deps.answerMs)
  const secrets = createSecretCheck()
  let news: News | undefined

  await app.register(async (scope: ServiceApp) => {
    const limit = await limitRate(scope, {
      counter: createSharedCounter({
        redis,
        keyOf: redisKeys.rate,
        onError: (err) => log.debug({ err }, 'rate limits are kept by this replica alone'),
      }),
      metrics,
      perSubject: config.RATE_LIMIT_PER_MINUTE,
      perAddress: config.RATE_LIMIT_IP_PER_MINUTE,
    })
    scope.setErrorHandler((error, request) => {
      const refused = error instanceof AppError && error.status === 401 && request.routeOptions.config.public !== true
      if (refused) limit.countRefused(request)
      throw error
    })
    authRoutes(scope, {
      db,
      metrics,
      secrets,
      keys,
      policy: { issuer: config.JWT_ISSUER, audience: config.JWT_AUDIENCE, ttlS: config.TOKEN_TTL_S },
      sign: (claims) => app.jwt.sign(claims),
      verifier: app.tokens,
      revocations,
    })
    auditRoutes(scope, db)
    clientRoutes(scope, { db, secrets, revocations, tokenLifeS: config.TOKEN_TTL_S })
    proxyRoutes(scope, 'agent-registry', registry)
    proxyRoutes(scope, 'crew-orchestrator', orchestrator)
    eventStreamRoutes(scope, {
      db,
      hub,
      revocations,
      maxStreams: config.SSE_STREAMS_MAX,
      onReadError: (err) => {
        log.warn({ err }, 'events could not be read')
        news?.retrySoon()
      },
    })
    docsRoutes(scope, () => openapiDocument(app.implemented, { title: 'HyperCode', version: VERSION }))
  })

  gauges(metrics, {
    hypercode_event_streams: ['Event streams open now', () => hub.size],
    hypercode_proxy_requests_in_flight: [
      'Requests sent on and not answered yet',
      () => registry.inFlight + orchestrator.inFlight,
    ],
    hypercode_revocations: ['Revocations that have to be remembered', () => revocations.size],
  })
  app.drainSignal.addEventListener('abort', () => {
    hub.close()
    orchestrator.release()
    registry.release()
  })
  app.addHook('onReady', async () => {
    loops.start('housekeeping', {
      everyMs: HOUSEKEEPING_EVERY_MS,
      run: async () => void (await deleteExpiredRevocations(db)),
    })
    news = startNews({ hub, loops, redisUrl: config.REDIS_URL, keys: redisKeys, log })
  })
  app.addHook('onClose', async () => {
    await Promise.all([news?.stop(), loops.stop(), registry.close(), orchestrator.close()])
  })
  return app
}

/** Starts the loop that keeps the list fresh; the check is red until the list was read for the first time. */
function refreshed(revocations: RevocationList, loops: Loops): () => void {
  let known = false
  loops.start('revocations', {
    everyMs: REVOCATIONS_EVERY_MS,
    backoffMaxMs: REVOCATIONS_EVERY_MS,
    run: async () => {
      await revocations.refresh()
      known = true
    },
  })
  return () => {
    if (!known) throw new CheckError('not read yet')
  }
}

function gauges(metrics: Metrics, all: Readonly<Record<string, readonly [help: string, read: () => number]>>): void {
  for (const [name, [help, read]] of Object.entries(all)) {
    metrics.gauge({ name, help, collect: (gauge) => gauge.set({}, read()) })
  }
}
