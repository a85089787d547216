import { AgentCard } from '@hypercode/contracts'
import { CheckError, createService } from '@hypercode/http'
import type { ServiceApp } from '@hypercode/http'
import type { Logger, Metrics } from '@hypercode/telemetry'
import type { Agent } from './define-agent.ts'

export interface ChassisOptions {
  readonly agent: Agent
  readonly log: Logger
  readonly metrics: Metrics
  /** Does the platform count on this agent at this moment? */
  readonly connected: () => boolean
}

/**
 * The HTTP side of an agent: `/livez`, `/readyz`, `/metrics` and its card. All of it can only be read and is public, so an
 * agent holds no key for tokens; work reaches it by its own claims alone.
 */
export async function createChassis({ agent, log, metrics, connected }: ChassisOptions): Promise<ServiceApp> {
  const { card } = agent
  const app = await createService({
    name: card.name,
    version: card.version,
    logger: log,
    metrics,
    checks: {
      platform: () => {
        if (!connected()) throw new CheckError('not registered, or the lease is in doubt')
      },
    },
  })
  const schema = { response: { 200: AgentCard } }
  app.get('/.well-known/agent-card.json', { config: { public: true }, schema }, () => card)
  return app
}
