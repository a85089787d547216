import { ROUTES } from '@hypercode/contracts'
import type { Heartbeat, HeartbeatAnswer } from '@hypercode/contracts'
import type { Db } from '@hypercode/db'
import { AppError, implement } from '@hypercode/http'
import type { Principal, ServiceApp } from '@hypercode/http'
import type { Beats } from '../jobs/beats.ts'
import { agentExists } from '../store/agents.ts'

export interface HeartbeatDeps {
  readonly db: Db
  readonly beats: Beats
}

export function heartbeatRoutes(app: ServiceApp, { db, beats }: HeartbeatDeps): void {
  const beat = async (
    { tenantId, subject }: Principal,
    body: Heartbeat,
    agentId: string | undefined,
  ): Promise<HeartbeatAnswer> => {
    const outcome = await beats.submit({ ...body, tenantId, subject, agentId })
    if (outcome.kind === 'beaten') return outcome.answer
    if (outcome.kind === 'fenced') {
      throw new AppError('fenced', { detail: outcome.why, fix: 'Stop this process, or register again.' })
    }
    throw await notBound(tenantId, agentId)
  }

  /** Which of the two it is must not tell a tenant about the agents of another one. */
  const notBound = async (tenantId: string, agentId: string | undefined): Promise<AppError> => {
    if (agentId !== undefined && (await agentExists(db, tenantId, agentId))) return new AppError('not_your_agent')
    if (agentId !== undefined) return new AppError('not_found')
    const fix = 'Register first: POST /v1/agents.'
    return new AppError('not_found', { detail: 'The token subject has not registered.', fix })
  }

  implement(app, ROUTES.heartbeatAgent, async ({ principal, params, body }) => await beat(principal, body, params.id))
  implement(app, ROUTES.heartbeatAlias, async ({ principal, body: { agentId, ...body } }) => {
    return await beat(principal, body, agentId)
  })
}
