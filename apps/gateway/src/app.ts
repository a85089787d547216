import { isConnectionError } from '@hypercode/db'
import { createService } from '@hypercode/http'
import type { ServiceApp } from '@hypercode/http'
import { createBackbone } from '@hypercode/service'
import type { Metrics } from '@hypercode/telemetry'
import { startBackground } from './background.ts'
import type { GatewayConfig } from './config.ts'
import { createSecretCheck } from './domain/secret-check.ts'
import { readSigningKeys } from './domain/signing-keys.ts'
import { VERSION } from './parts.ts'
import type { GatewayDeps, Parts } from './parts.ts'
import { createUpstream } from './proxy/upstream.ts'
import { apiRoutes } from './routes/api.ts'
import { createEventHub } from './streams/event-hub.ts'

/** Registers everything; the background work begins when the app is ready, and closing the app ends it. */
export async function buildApp(config: GatewayConfig, deps: GatewayDeps): Promise<ServiceApp> {
  const { metrics, database } = deps
  const parts: Parts = {
    keys: await readSigningKeys(config),
    secrets: createSecretCheck(),
    backbone: createBackbone({ ...deps, pools: [database.db] }),
    hub: createEventHub({ maxStreams: config.SSE_STREAMS_MAX }),
    upstreams: {
      'agent-registry': createUpstream('agent-registry', config.REGISTRY_URL, deps.answerMs),
      'crew-orchestrator': createUpstream('crew-orchestrator', config.ORCHESTRATOR_URL, deps.answerMs),
      'agent-factory': createUpstream('agent-factory', config.FACTORY_URL, deps.answerMs),
      'turing-gym': createUpstream('turing-gym', config.GYM_URL, deps.answerMs),
    },
    state: { lookAgain: false },
  }
  const app = await chassis(config, deps, parts)
  await app.register(async (scope: ServiceApp) => await apiRoutes(scope, config, deps, parts))
  startBackground(app, config, deps, parts)
  measure(metrics, parts)
  return app
}

async function chassis(config: GatewayConfig, deps: GatewayDeps, parts: Parts): Promise<ServiceApp> {
  const { keys, backbone } = parts
  return await createService({
    name: 'gateway',
    version: VERSION,
    logger: deps.log,
    metrics: deps.metrics,
    auth: {
      issuer: config.JWT_ISSUER,
      audience: config.JWT_AUDIENCE,
      keys: keys.accepted,
      signing: keys.signing,
      isRevoked: backbone.isRevoked,
    },
    trustProxy: config.TRUST_PROXY,
    isUnavailable: isConnectionError,
    openapi: { title: 'HyperCode' },
    // Without Redis events come later and limits are kept by each replica for itself, but all work goes on.
    checks: backbone.checks,
  })
}

function measure(metrics: Metrics, { hub, upstreams, backbone: { revocations } }: Parts): void {
  const gauge = (name: string, help: string, read: () => number): void =>
    void metrics.gauge({ name, help, collect: (held) => held.set({}, read()) })
  gauge('hypercode_event_streams', 'Event streams open now', () => hub.size)
  gauge('hypercode_revocations', 'Revocations that have to be remembered', () => revocations.size)
  gauge('hypercode_proxy_requests_in_flight', 'Requests sent on and not answered yet', () =>
    Object.values(upstreams).reduce((sum, { inFlight }) => sum + inFlight, 0),
  )
}
