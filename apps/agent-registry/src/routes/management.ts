import { ROUTES } from '@hypercode/contracts'
import type { Db } from '@hypercode/db'
import { AppError, implement } from '@hypercode/http'
import type { Principal, ServiceApp } from '@hypercode/http'
import { currentContext } from '@hypercode/telemetry'
import { mayManage } from '../domain/authority.ts'
import { agentExists } from '../store/agents.ts'
import { deleteAgent, drainAgent, stopInstance, updateAgent } from '../store/management.ts'
import type { Change, ChangeOutcome, ManagementDeps } from '../store/management.ts'
import { ownershipOf } from '../store/ownership.ts'
import { readAgent } from './agents.ts'

/** Changing, draining and removing: by operators, and by an agent for itself. */
export function managementRoutes(app: ServiceApp, deps: ManagementDeps): void {
  const { db } = deps

  implement(app, ROUTES.updateAgent, async ({ principal, params, body, headers }, reply) => {
    await carryOut(
      db,
      principal,
      params.id,
      async (change) => await updateAgent(deps, change, body, headers['if-match']),
    )
    const agent = await readAgent(db, principal.tenantId, params.id)
    reply.header('etag', agent.etag)
    return agent
  })

  implement(app, ROUTES.deleteAgent, async ({ principal, params }) => {
    await carryOut(db, principal, params.id, async (change) => await deleteAgent(deps, change))
  })

  implement(app, ROUTES.drainAgent, async ({ principal, params, body }) => {
    const { instanceId, incarnation } = body ?? {}
    if (instanceId === undefined && incarnation !== undefined) {
      throw new AppError('request_invalid', { detail: 'An incarnation is one of an instance, so it needs instanceId.' })
    }
    const only = instanceId === undefined ? undefined : { instanceId, incarnation }
    await carryOut(db, principal, params.id, async (change) => await drainAgent(deps, change, only))
    return await readAgent(db, principal.tenantId, params.id)
  })

  implement(app, ROUTES.stopInstance, async ({ principal, params, query }) => {
    const only = { instanceId: params.instanceId, incarnation: query.incarnation }
    await carryOut(db, principal, params.id, async (change) => await stopInstance(deps, change, only))
  })
}

/** Makes the change if the caller may, and turns its outcome into an answer. */
async function carryOut(
  db: Db,
  { tenantId, subject, clientId, scopes }: Principal,
  agentId: string,
  change: (change: Change) => Promise<ChangeOutcome>,
): Promise<void> {
  const { correlationId } = currentContext()
  const owns = await ownershipOf(db, tenantId, clientId, agentId)
  if (!mayManage({ scopes, isAgent: owns.any, ownsAgent: owns.ofAgent })) {
    throw new AppError((await agentExists(db, tenantId, agentId)) ? 'not_your_agent' : 'not_found')
  }
  const outcome = await change({ tenantId, agentId, actor: subject, correlationId })
  if (outcome === 'done') return
  throw new AppError(ERROR_OF[outcome])
}

const ERROR_OF = {
  not_found: 'not_found',
  not_possible: 'conflict',
  fenced: 'fenced',
  version_mismatch: 'version_mismatch',
} as const
