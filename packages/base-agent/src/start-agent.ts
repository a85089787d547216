import { createClient } from '@hypercode/client'
import { createLogger, createMetrics } from '@hypercode/telemetry'
import { createAgentMetrics } from './agent-metrics.ts'
import type { Agent } from './define-agent.ts'
import { Runtime } from './runtime.ts'
import type { AgentEnd } from './runtime.ts'
import type { AgentSettings } from './settings.ts'
import { Slots } from './slots.ts'

/** An agent at work inside of a process that is not its own. */
export interface RunningAgent {
  /** Id of the agent at the platform. */
  readonly agentId: string
  readonly instanceId: string
  /** Of the latest registration; it grows when the agent had lost its lease and came back. */
  readonly incarnation: number
  /** Does the platform count on it at this moment? */
  readonly connected: boolean
  /** Resolves when it does nothing any more: `stopped` by `stop()`, or `fenced` by a newer process with its identity. */
  readonly ended: Promise<AgentEnd>
  /** Lets attempts finish for up to `drainMs`, hands back the rest, deregisters. May be called more than once. */
  stop(options?: { readonly drainMs?: number }): Promise<void>
}

/**
 * Starts an agent without HTTP server, signals or process exit, for tests, benchmarks and embedding. Resolves when it is
 * registered, however long that takes; abort `signal` to give up.
 * @throws {AgentRefused} when the platform refuses the credentials, the scopes or the card
 */
export async function startAgent(
  agent: Agent,
  settings: AgentSettings,
  options: { readonly signal?: AbortSignal } = {},
): Promise<RunningAgent> {
  const { runtime, close } = createRuntime(agent, settings)
  const giveUp = (): void => runtime.giveUp()
  const ended = endedAndClosed(runtime, close)
  options.signal?.addEventListener('abort', giveUp, { once: true })
  try {
    await Promise.race([runtime.ready, ended])
  } finally {
    options.signal?.removeEventListener('abort', giveUp)
  }
  const registered = (): NonNullable<Runtime['registered']> => {
    if (runtime.registered === undefined) throw new Error('the agent was stopped before it was registered')
    return runtime.registered
  }
  registered()
  return {
    get agentId() {
      return registered().id
    },
    get instanceId() {
      return registered().instanceId
    },
    get incarnation() {
      return registered().incarnation
    },
    get connected() {
      return runtime.connected
    },
    ended,
    stop: async (stopping = {}) => {
      await runtime.stop(stopping.drainMs)
      await ended
    },
  }
}

export interface OwnedRuntime {
  readonly runtime: Runtime
  readonly close: () => Promise<void>
}

/** A runtime with the client that it needs; `close` when the runtime has ended. */
export function createRuntime(agent: Agent, settings: AgentSettings): OwnedRuntime {
  const { url, clientId, clientSecret, instance } = settings
  const { name } = agent.card
  const log = settings.logger ?? createLogger({ service: name, level: 'warn', secrets: [clientSecret] })
  const metrics = settings.metrics ?? createMetrics(name, { processMetrics: false })
  const slots = new Slots(settings.slots ?? agent.slots)
  const client = createClient({
    baseUrl: url,
    credentials: { clientId, clientSecret, instance },
    // The loops of the runtime repeat what matters, for as long as the lease lasts.
    retry: { maxRetries: 1, initialDelayMs: 50 },
  })
  const runtime = new Runtime({ agent, client, settings, slots, log, metrics: createAgentMetrics(metrics, slots) })
  return { runtime, close: () => client.close() }
}

async function endedAndClosed(runtime: Runtime, close: () => Promise<void>): Promise<AgentEnd> {
  try {
    return await runtime.ended
  } finally {
    await close()
  }
}
