import { createLogger, createMetrics } from '@hypercode/telemetry'
import { signTestToken, test as base, testSecrets } from '@hypercode/testkit'
import { AGENT_SCOPES, newId } from '@hypercode/contracts'
import type { Agent, HeartbeatAnswer, Registration, Scope } from '@hypercode/contracts'
import type { Db } from '@hypercode/db'
import { sql } from 'kysely'
import { buildApp } from '../src/app.ts'
import type { AppOptions, RegistryApp } from '../src/app.ts'

export const LEASE_MS = 15_000
export const HEARTBEAT_MS = 5000
export const DEREGISTER_MS = 3_600_000

const OPTIONS: AppOptions = {
  auth: { issuer: testSecrets.issuer, audience: testSecrets.audience, keys: { secret: testSecrets.jwtSecret } },
  leaseMs: LEASE_MS,
  heartbeatMs: HEARTBEAT_MS,
  sweepMs: 1000,
  deregisterAfterMs: DEREGISTER_MS,
}

/** What a call was answered with. */
export interface Answer<T = Record<string, unknown>> {
  status: number
  body: T
  headers: Record<string, unknown>
}

/** Someone with a token: an agent process, or an operator. */
export interface Caller {
  readonly subject: string
  readonly tenantId: string
  call<T = Record<string, unknown>>(
    method: 'GET' | 'POST' | 'PATCH' | 'DELETE',
    url: string,
    body?: object,
    headers?: Record<string, string>,
  ): Promise<Answer<T>>
  register(card?: Record<string, unknown>): Promise<Answer<Registration>>
  beat(agentId: string, beat: Record<string, unknown>): Promise<Answer<HeartbeatAnswer>>
  read(agentId: string): Promise<Agent>
}

export interface Registry extends RegistryApp {
  /** A caller of the tenant; a new client with the scopes of an agent when nothing else is said. */
  caller(options?: { tenantId?: string; subject?: string; scopes?: readonly Scope[] }): Caller
}

/** `test` with the registry on the test's own database; its loops stand still, so that a test sweeps when it wants to. */
export const test = base
  .extend('startRegistry', async ({ db, redisUrl: _, redis, keys, tenant }, { onCleanup }) => {
    const started: RegistryApp[] = []
    onCleanup(async () => {
      for (const one of started) {
        await one.app.close()
        await one.stop()
      }
    })
    return async (options: Partial<AppOptions> = {}, otherDb: Db = db): Promise<Registry> => {
      const registry = await buildApp(
        { ...OPTIONS, ...options },
        {
          db: otherDb,
          beatDb: otherDb,
          redis,
          keys,
          log: createLogger({ service: 'agent-registry', level: 'silent' }),
          metrics: createMetrics('agent-registry', { processMetrics: false }),
        },
      )
      started.push(registry)
      return { ...registry, caller: (who = {}) => callerOf(registry, { tenantId: tenant.id, ...who }) }
    }
  })
  .extend('registry', async ({ startRegistry }) => await startRegistry())

export const card = (name = 'coder', more: Record<string, unknown> = {}): Record<string, unknown> => ({
  name,
  version: '1.0.0',
  skills: [{ id: 'code.edit' }],
  ...more,
})

function callerOf(
  { app }: RegistryApp,
  {
    tenantId,
    subject = newId(),
    scopes = AGENT_SCOPES,
  }: { tenantId: string; subject?: string; scopes?: readonly Scope[] },
): Caller {
  const authorization = `Bearer ${signTestToken({ tenantId, subject, scopes })}`
  const call: Caller['call'] = async (method, url, body, headers = {}) => {
    const answer = await app.inject({
      method,
      url,
      headers: { authorization, ...headers },
      ...(body !== undefined && { payload: body }),
    })
    return {
      status: answer.statusCode,
      body: answer.body === '' ? undefined : answer.json(),
      headers: answer.headers,
    } as Answer<never>
  }
  return {
    subject,
    tenantId,
    call,
    register: async (body = card()) => await call('POST', '/v1/agents', body),
    beat: async (agentId, beat) => await call('POST', `/v1/agents/${agentId}/heartbeat`, beat),
    read: async (agentId) => (await call<Agent>('GET', `/v1/agents/${agentId}`)).body,
  }
}

export interface TestTask {
  readonly taskId: string
  readonly missionId: string
  readonly attempt: number
}

/** A task that an instance executes, as a claim would leave it. */
export async function giveTask(
  db: Db,
  held: {
    tenantId: string
    instanceId: string
    incarnation: number
    attempt?: number
    startedAgoMs?: number
    missionId?: string
  },
): Promise<TestTask> {
  const { tenantId, instanceId, incarnation, attempt = 1, startedAgoMs = 0 } = held
  const missionId = held.missionId ?? (await makeMission(db, tenantId))
  const taskId = newId()
  await sql`insert into tasks (id, tenant_id, mission_id, key, leaf, queue, state, attempt, max_attempts, retry, lease_owner,
      lease_incarnation, claim_id, lease_expires_at, started_at)
    values (${taskId}, ${tenantId}, ${missionId}, ${taskId}, true, 'code.edit', 'executing', ${attempt}, 5, '{}', ${instanceId},
      ${incarnation}, ${newId()}, now() + interval '5 seconds', now())`.execute(db)
  await sql`insert into attempts (task_id, attempt, tenant_id, agent_instance_id, incarnation, claim_id, started_at)
    values (${taskId}, ${attempt}, ${tenantId}, ${instanceId}, ${incarnation}, ${newId()},
      now() - ${startedAgoMs} * interval '1 millisecond')`.execute(db)
  return { taskId, missionId, attempt }
}

export async function makeMission(db: Db, tenantId: string): Promise<string> {
  const id = newId()
  await sql`insert into missions (id, tenant_id, crew, state, total_tasks, open_tasks, on_task_failure, correlation_id, created_by, event_seq)
    values (${id}, ${tenantId}, 'crew', 'running', 1, 1, 'fail', 'test', 'test', 0)`.execute(db)
  return id
}

/** How long the lease of a task still runs, by the database clock. */
export async function leaseLeftMs(db: Db, taskId: string): Promise<number> {
  const found = await sql<{ left: number }>`select (extract(epoch from lease_expires_at - now()) * 1000)::float8 as left
    from tasks where id = ${taskId}`.execute(db)
  return found.rows[0]?.left ?? Number.NaN
}

/** Moves the past of an instance back, as if it had been silent for so long. */
export async function silence(db: Db, instanceIds: readonly string[], ms: number): Promise<void> {
  await sql`update agent_instances set registered_at = registered_at - ${ms} * interval '1 millisecond',
      last_heartbeat_at = last_heartbeat_at - ${ms} * interval '1 millisecond',
      lease_expires_at = lease_expires_at - ${ms} * interval '1 millisecond'
    where id = any(${[...instanceIds]}::uuid[])`.execute(db)
}

export interface StoredEvent {
  seq: number
  type: string
  agent_id: string | null
  instance_id: string | null
  body: Record<string, unknown>
}

/** The events of a tenant in order; throws when their numbers are not 1, 2, 3… */
export async function eventsOf(db: Db, tenantId: string): Promise<StoredEvent[]> {
  const events = await db
    .selectFrom('agent_events')
    .select(['seq', 'type', 'agent_id', 'instance_id', 'body'])
    .where('tenant_id', '=', tenantId)
    .orderBy('seq')
    .execute()
  events.forEach((event, index) => {
    if (event.seq !== index + 1) throw new Error(`event ${index + 1} has the number ${event.seq}`)
  })
  return events
}
