import { ROUTES } from '@hypercode/contracts'
import type { Registration } from '@hypercode/contracts'
import { ApiError } from '@hypercode/client'
import type { HyperClient } from '@hypercode/client'
import type { Logger } from '@hypercode/telemetry'
import { Backoff } from './backoff.ts'
import type { Agent } from './define-agent.ts'
import { AgentRefused } from './errors.ts'
import { monotonicMs } from './heartbeat/lease.ts'
import { weather } from './platform-errors.ts'

export interface Registered extends Registration {
  /** When the call was sent that made the lease. */
  readonly sentAtMs: number
}

export interface RegisterOptions {
  readonly agent: Agent
  readonly slots: number
  readonly client: HyperClient
  readonly log: Logger
  readonly stopping: AbortSignal
  /** The platform has taken this agent before: a refusal now is its weather, not our mistake. */
  readonly known: boolean
}

/**
 * Registers, as often as it takes; `undefined` when `stopping` was aborted before it worked.
 * @throws {AgentRefused} when the platform refuses the credentials, the scopes or the card of an agent that it has not known
 */
export async function register(options: RegisterOptions): Promise<Registered | undefined> {
  const { agent, slots, client, log, stopping, known } = options
  const backoff = new Backoff({ firstMs: 200, maxMs: 10_000 })
  while (!stopping.aborted) {
    const sentAtMs = monotonicMs()
    try {
      const { body } = await client.call(ROUTES.registerAgent, { body: { ...agent.card, slots }, signal: stopping })
      log.info({ agentId: body.id, instanceId: body.instanceId, incarnation: body.incarnation }, 'registered')
      return { ...body, sentAtMs }
    } catch (error) {
      if (stopping.aborted) break
      if (!known && isRefusal(error)) throw refusalOf(error)
      log.warn(weather(error), 'could not register, trying again')
      await backoff.wait(stopping, error instanceof ApiError ? error.retryAfterMs : 0)
    }
  }
  return undefined
}

const REFUSALS = new Set([400, 401, 403, 404, 422])

const isRefusal = (error: unknown): error is ApiError => error instanceof ApiError && REFUSALS.has(error.status)

function refusalOf(error: ApiError): AgentRefused {
  const { fix, faults = [] } = error.problem ?? {}
  const parts = [
    error.message,
    ...faults.map(({ pointer, message }) => `${pointer} ${message}`),
    ...(fix === undefined ? [] : [fix]),
  ]
  return new AgentRefused(`the platform refuses this agent: ${error.code}: ${parts.join('; ')}`, { cause: error })
}
