import type { Health, Labels, Lifecycle, Skill } from '@hypercode/contracts'
import type { Db } from '@hypercode/db'
import { sql } from 'kysely'
import { healthOfAgent, isLive } from './live.ts'

/** An agent as it is read; `health` is that of its best live instance. */
export interface AgentRecord {
  readonly id: string
  readonly name: string
  readonly version: string
  readonly description: string | null
  readonly skills: Skill[]
  readonly labels: Labels
  readonly rowVersion: number
  readonly createdAt: Date
  readonly updatedAt: Date
  readonly health: Health
}

export interface InstanceRecord {
  readonly id: string
  readonly agentId: string
  readonly subject: string
  readonly lifecycle: Lifecycle
  readonly health: Health
  readonly incarnation: number
  readonly version: string
  readonly slots: number
  /** Tasks that it executes now. */
  readonly slotsUsed: number
  readonly registeredAt: Date
  readonly lastHeartbeatAt: Date | null
  readonly leaseExpiresAt: Date | null
}

export interface AgentFilter {
  readonly skill?: string | undefined
  readonly label?: readonly [key: string, value: string] | undefined
  readonly health?: Health | undefined
  /** Text anywhere in name, skills, description or tags. */
  readonly text?: string | undefined
}

const agentColumns = sql`a.id, a.name, a.version, a.description, a.skills, a.labels, a.row_version as "rowVersion",
  a.created_at as "createdAt", a.updated_at as "updatedAt", ${healthOfAgent} as health`

/** Newest first, below the id `below` when given. */
export async function listAgents(
  db: Db,
  tenantId: string,
  filter: AgentFilter,
  page: { limit: number; below: string | undefined },
): Promise<AgentRecord[]> {
  const found = await sql<AgentRecord>`select ${agentColumns} from agents a
    where a.tenant_id = ${tenantId} and a.deleted_at is null and ${sql.join(conditions(tenantId, filter), sql` and `)}
      ${page.below === undefined ? sql`` : sql`and a.id < ${page.below}`}
    order by a.id desc limit ${page.limit}`.execute(db)
  return found.rows
}

export async function findAgent(db: Db, tenantId: string, id: string): Promise<AgentRecord | undefined> {
  const found = await sql<AgentRecord>`select ${agentColumns} from agents a
    where a.id = ${id} and a.tenant_id = ${tenantId} and a.deleted_at is null`.execute(db)
  return found.rows[0]
}

/** Whether the tenant has such an agent that was not deleted. */
export async function agentExists(db: Db, tenantId: string, id: string): Promise<boolean> {
  const found = await db
    .selectFrom('agents')
    .select('id')
    .where('id', '=', id)
    .where('tenant_id', '=', tenantId)
    .where('deleted_at', 'is', null)
    .executeTakeFirst()
  return found !== undefined
}

/** At most `each` instances of every agent: live ones first, newest first. Those that left long ago need not be seen. */
export async function listInstances(db: Db, agentIds: readonly string[], each: number): Promise<InstanceRecord[]> {
  if (agentIds.length === 0) return []
  const found = await sql<InstanceRecord>`
    select i.id, i.agent_id as "agentId", i.subject, i.lifecycle, i.health, i.incarnation, i.version, i.slots,
      i.registered_at as "registeredAt", i.last_heartbeat_at as "lastHeartbeatAt", i.lease_expires_at as "leaseExpiresAt",
      (select count(*) from tasks t where t.lease_owner = i.id and t.state = 'executing')::int as "slotsUsed"
    from unnest(${[...agentIds]}::uuid[]) as a (id) cross join lateral (
      select i.* from agent_instances i where i.agent_id = a.id
      order by ${isLive} desc, i.id desc limit ${each}) i`.execute(db)
  return found.rows
}

function conditions(tenantId: string, filter: AgentFilter): ReturnType<typeof sql<boolean>>[] {
  const { skill, label, health, text } = filter
  return [
    sql<boolean>`true`,
    ...(skill === undefined ? [] : [sql<boolean>`a.skill_ids @> array[${skill}]::text[]`]),
    ...(label === undefined ? [] : [sql<boolean>`a.labels @> ${JSON.stringify({ [label[0]]: label[1] })}::jsonb`]),
    ...(health === undefined ? [] : [hasHealth(tenantId, health)]),
    ...(text === undefined ? [] : [holdsText(text)]),
  ]
}

/** An agent without live instances is `unknown`; every other health can be narrowed by the index of live instances first. */
function hasHealth(tenantId: string, health: Health): ReturnType<typeof sql<boolean>> {
  const best = sql<boolean>`${healthOfAgent} = ${health}`
  if (health === 'unknown') return best
  return sql<boolean>`a.id in (select i.agent_id from agent_instances i
    where i.tenant_id = ${tenantId} and i.health = ${health} and ${isLive}) and ${best}`
}

/** Less than three letters have no gram to look up; the condition on the text itself decides in any case. */
function holdsText(text: string): ReturnType<typeof sql<boolean>> {
  const pattern = `%${text.replace(/[\\%_]/g, '\\$&')}%`
  const matches = sql<boolean>`a.search_text like lower(${pattern})`
  if ([...text].length < 3) return matches
  return sql<boolean>`agent_grams(a.search_text) @> agent_grams(lower(${text})) and ${matches}`
}
