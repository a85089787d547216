import { ROUTES } from '@hypercode/contracts'
import type { Agent } from '@hypercode/contracts'
import type { Db } from '@hypercode/db'
import { AppError, implement } from '@hypercode/http'
import type { ServiceApp } from '@hypercode/http'
import { decodeCursor, encodeCursor } from '../domain/cursor.ts'
import { findAgent, listAgents, listInstances } from '../store/agents.ts'
import type { AgentRecord } from '../store/agents.ts'
import { cardOf, viewAgent } from './agent-view.ts'

/** How many instances of an agent are shown: alone, and among others. */
const INSTANCES_OF_ONE = 100
const INSTANCES_OF_EACH = 20
const PAGE_SIZE = 50

/** Listing, searching and reading. */
export function agentRoutes(app: ServiceApp, { db }: { db: Db }): void {
  implement(app, ROUTES.listAgents, async ({ principal, query }) => {
    const { skill, health, q: text, limit = PAGE_SIZE } = query
    const filter = { skill, health, text, label: labelOf(query.label) }
    const below = query.cursor === undefined ? undefined : belowOf(query.cursor)
    const found = await listAgents(db, principal.tenantId, filter, { limit: limit + 1, below })
    const shown = found.slice(0, limit)
    const instances = Map.groupBy(await listInstances(db, idsOf(shown), INSTANCES_OF_EACH), (one) => one.agentId)
    const last = found.length > limit ? shown.at(-1) : undefined
    return {
      items: shown.map((agent) => viewAgent(agent, instances.get(agent.id) ?? [])),
      ...(last !== undefined && { nextCursor: encodeCursor(last.id) }),
    }
  })

  implement(app, ROUTES.getAgent, async ({ principal, params }, reply) => {
    const agent = await readAgent(db, principal.tenantId, params.id)
    reply.header('etag', agent.etag)
    return agent
  })

  implement(app, ROUTES.getAgentCard, async ({ principal, params }) => {
    const agent = await findAgent(db, principal.tenantId, params.id)
    if (agent === undefined) throw new AppError('not_found')
    return cardOf(agent)
  })
}

/** An agent of the tenant with its instances; not_found for any other, whoever it belongs to. */
export async function readAgent(db: Db, tenantId: string, id: string): Promise<Agent> {
  const agent = await findAgent(db, tenantId, id)
  if (agent === undefined) throw new AppError('not_found')
  return viewAgent(agent, await listInstances(db, [id], INSTANCES_OF_ONE))
}

const idsOf = (agents: readonly AgentRecord[]): string[] => agents.map((agent) => agent.id)

/** `key=value`; the value may hold further equal signs. */
function labelOf(label: string | undefined): [string, string] | undefined {
  if (label === undefined) return undefined
  const at = label.indexOf('=')
  return [label.slice(0, at), label.slice(at + 1)]
}

function belowOf(cursor: string): string {
  const id = decodeCursor(cursor)
  if (id === undefined) throw new AppError('request_invalid', { detail: 'The cursor is none that a page has given.' })
  return id
}
