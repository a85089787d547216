import { randomUUID } from 'node:crypto'
import { newId } from '@hypercode/contracts'
import type { ClaimedTask, Mission, Scope, Task } from '@hypercode/contracts'
import { openDatabase } from '@hypercode/db'
import type { Db } from '@hypercode/db'
import { openRedis } from '@hypercode/events'
import type { Keys } from '@hypercode/events'
import { createLogger, createMetrics } from '@hypercode/telemetry'
import type { Metrics } from '@hypercode/telemetry'
import { signTestToken, testSecrets, test as base, waitFor } from '@hypercode/testkit'
import type { TestTenant } from '@hypercode/testkit'
import { sql } from 'kysely'
import { expect } from 'vitest'
import { buildApp } from '../src/app.ts'
import type { Orchestrator } from '../src/app.ts'
import { readConfig } from '../src/config.ts'
import { createBrake } from '../src/domain/brake.ts'
import { sweepTurn } from '../src/engine/sweep.ts'
import type { SweepOptions } from '../src/engine/sweep.ts'
import type { OrchestratorConfig } from '../src/config.ts'

export { crewOf } from './crew-of.ts'

export interface Answer<T> {
  status: number
  body: T
  headers: Record<string, string>
}

export interface Caller {
  readonly subject: string
  call<T = unknown>(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer<T>>
}

export interface AgentCaller extends Caller {
  readonly owner: TestTenant
  readonly instanceId: string
  readonly incarnation: number
  claim(options?: { max?: number; waitMs?: number; claimId?: string; skills?: string[] }): Promise<ClaimedTask[]>
  complete(task: ClaimedTask, output?: unknown): Promise<Answer<Reported>>
  fail(
    task: ClaimedTask,
    error?: { code?: string; message?: string; retryable?: boolean; retryAfterMs?: number },
  ): Promise<Answer<Reported>>
  /** A report in full, with whatever fence the test wants. */
  report(result: object, incarnation?: number): Promise<Answer<Reported>>
}

export interface Reported {
  results: { status: string; state?: string }[]
  code?: string
}

export interface Stage {
  readonly orchestrator: Orchestrator
  readonly db: Db
  /** A person or a program with every scope. */
  readonly operator: Caller
  as(tenant: TestTenant, scopes?: readonly Scope[], subject?: string): Promise<Caller>
  /** An agent instance that is ready and beating, with these skills. */
  agent(skills: string[], options?: { slots?: number; tenant?: TestTenant }): Promise<AgentCaller>
  /** The same instance, talking to this process. */
  adopt(agent: AgentCaller): Promise<AgentCaller>
  submit(manifest: object, input?: unknown, headers?: Record<string, string>): Promise<Mission>
  mission(id: string): Promise<Mission>
  tasks(missionId: string): Promise<Task[]>
  events(
    missionId: string,
  ): Promise<{ seq: number; type: string; task_id: string | null; body: Record<string, unknown> }[]>
}

const EVERYTHING: readonly Scope[] = [
  'mission:read',
  'mission:write',
  'mission:cancel',
  'crew:write',
  'deadletter:write',
  'approval:decide',
  'task:claim',
  'agent:read',
  'agent:write',
  'metrics:read',
]

/** As in its environment; what is not named has its default. */
export type Settings = Partial<Record<keyof OrchestratorConfig, string>>

/** `stage` is a whole orchestrator on real servers, with its HTTP API in this process. */
export const test = base
  .extend('settings', {} as Settings)
  /** Opens processes on the servers of the test, and closes them after it. */
  .extend('open', async ({ database, db, redisUrl, keys, tenant }, { onCleanup }) => {
    const closers: StageParts['closers'] = []
    onCleanup(async () => {
      for (const close of closers.reverse()) await close()
    })
    return async (settings: Settings): Promise<Stage> =>
      await openStage({ databaseUrl: database.url, db, redisUrl, keys, tenant, settings, closers })
  })
  .extend('stage', async ({ open, settings }) => await open(settings))
  /** A second process on the same servers, as far as one process can be two. */
  .extend('replica', async ({ open, settings }) => await open(settings))

/** No sweep, and no poll, comes by itself: a test calls them when it wants them. */
export const STILL = { ORCHESTRATOR_SWEEP_MS: '60000', CLAIM_POLL_MS: '30000' } as const

/** `test` of an orchestrator that keeps still. Files of one process share `test` itself, so none may change it for all of its tests. */
export const stillTest = test.extend<'settings', Settings>('settings', STILL)

/** One turn of the sweep, now. */
export const sweep = async (
  { orchestrator: { engine } }: Stage,
  options: Partial<SweepOptions> = {},
): Promise<number> =>
  await sweepTurn({
    db: engine.urgentDb,
    brake: createBrake(15_000, 1000),
    cancelGraceMs: 30_000,
    onSaved: engine.after,
    onFault: (error) => {
      throw error
    },
    ...options,
  })

/** Every loop takes its first turn at once: a test that wants it still waits until that is over, well or not. */
async function firstTurns(metrics: Metrics): Promise<void> {
  await waitFor(
    async () => {
      const text = await metrics.render()
      return ['sweep', 'crews', 'schedules', 'operations'].every((loop) =>
        new RegExp(`^hypercode_loop_(turns|errors)_total\\{.*loop="${loop}".*\\} [1-9]`, 'm').test(text),
      )
    },
    { what: 'the first turn of every loop', everyMs: 5 },
  )
}

export interface StageParts {
  databaseUrl: string
  /** For what agents report and for sweeps; the other one when not given. */
  urgentUrl?: string
  db: Db
  redisUrl: string
  keys: Keys
  tenant: TestTenant
  settings: Settings
  closers: (() => Promise<unknown> | void)[]
}

export async function openStage({
  databaseUrl,
  urgentUrl = databaseUrl,
  db,
  redisUrl,
  keys,
  tenant,
  settings,
  closers,
}: StageParts): Promise<Stage> {
  const config = readConfig({
    LOG_LEVEL: 'silent',
    JWT_SECRET: testSecrets.jwtSecret,
    JWT_ISSUER: testSecrets.issuer,
    JWT_AUDIENCE: testSecrets.audience,
    DATABASE_URL: databaseUrl,
    REDIS_URL: redisUrl,
    ...settings,
  })
  const pool = (url: string, name: string, poolMax: number) =>
    openDatabase({ url, poolMax, applicationName: name, onIdleError: () => undefined })
  const database = pool(databaseUrl, 'orchestrator', 5)
  const urgentDatabase = pool(urgentUrl, 'orchestrator-urgent', 3)
  const redis = openRedis({ url: config.REDIS_URL, role: 'producer', onError: () => undefined })
  const logger = createLogger({ service: 'crew-orchestrator', level: config.LOG_LEVEL })
  const metrics = createMetrics('crew-orchestrator', { processMetrics: false })
  const orchestrator = await buildApp(config, { database, urgentDatabase, redis, keys, logger, metrics })
  await orchestrator.app.ready()
  closers.push(async () => {
    orchestrator.app.beginDrain()
    await orchestrator.stop()
    await orchestrator.app.close()
    redis.disconnect()
    await Promise.all([database.close(), urgentDatabase.close()])
  })
  if (settings.ORCHESTRATOR_SWEEP_MS === STILL.ORCHESTRATOR_SWEEP_MS) await firstTurns(metrics)

  const callerOf = async (subject: string, owner: TestTenant, scopes: readonly Scope[]): Promise<Caller> => {
    const token = signTestToken({ subject, tenantId: owner.id, scopes })
    return {
      subject,
      async call<T>(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
        const response = await orchestrator.app.inject({
          method: method as 'GET',
          url: path,
          headers: { authorization: `Bearer ${token}`, ...headers },
          ...(body === undefined ? {} : { payload: body as object }),
        })
        const json = response.headers['content-type']?.toString().includes('json') === true
        return {
          status: response.statusCode,
          body: (json ? response.json() : response.rawPayload) as T,
          headers: response.headers as Record<string, string>,
        }
      },
    }
  }
  const operator = await callerOf(randomUUID(), tenant, EVERYTHING)

  return {
    orchestrator,
    db,
    operator,
    as: async (owner, scopes = EVERYTHING, subject = randomUUID()) => callerOf(subject, owner, scopes),
    async agent(skills, options = {}) {
      const owner = options.tenant ?? tenant
      const caller = await callerOf(randomUUID(), owner, AGENT_SCOPES)
      const instance = await registerInstance(db, owner.id, caller.subject, skills, options.slots ?? 10)
      return agentOf(caller, { ...instance, owner })
    },
    adopt: async ({ subject, owner, instanceId, incarnation }) =>
      agentOf(await callerOf(subject, owner, AGENT_SCOPES), { id: instanceId, incarnation, owner }),
    async submit(manifest, input, headers) {
      const answer = await operator.call<Mission>('POST', '/v1/missions', { manifest, input: input ?? null }, headers)
      expect(answer.status, JSON.stringify(answer.body)).toBeLessThan(300)
      return answer.body
    },
    mission: async (id) => (await operator.call<Mission>('GET', `/v1/missions/${id}`)).body,
    tasks: async (id) =>
      (await operator.call<{ items: Task[] }>('GET', `/v1/missions/${id}/tasks?limit=500`)).body.items,
    events: async (missionId) =>
      await db
        .selectFrom('mission_events')
        .select(['seq', 'type', 'task_id', 'body'])
        .where('mission_id', '=', missionId)
        .orderBy('seq')
        .execute(),
  }
}

const AGENT_SCOPES: readonly Scope[] = ['task:claim', 'mission:read']

function agentOf(
  caller: Caller,
  { id, incarnation, owner }: { id: string; incarnation: number; owner: TestTenant },
): AgentCaller {
  const reportAs = (result: object, as = incarnation): Promise<Answer<Reported>> =>
    caller.call('POST', '/v1/completions', { incarnation: as, results: [result] })
  const report = (task: ClaimedTask, result: object) =>
    reportAs({ taskId: task.taskId, attempt: task.attempt, ...result })
  return {
    ...caller,
    owner,
    instanceId: id,
    incarnation,
    async claim({ max = 10, waitMs = 5000, claimId = newId(), skills } = {}) {
      const answer = await caller.call<{ tasks: ClaimedTask[] }>('POST', '/v1/claims', {
        claimId,
        incarnation,
        max,
        waitMs,
        ...(skills === undefined ? {} : { skills }),
      })
      expect(answer.status, JSON.stringify(answer.body)).toBe(200)
      return answer.body.tasks
    },
    report: reportAs,
    complete: async (task, output = null) => report(task, { outcome: 'completed', output }),
    fail: async (task, error = {}) =>
      report(task, { outcome: 'failed', error: { code: 'boom', message: 'it broke', retryable: true, ...error } }),
  }
}

/** What the registry does at registration, reduced to what claims look at. */
export async function registerInstance(
  db: Db,
  tenantId: string,
  subject: string,
  skills: string[],
  slots: number,
): Promise<{ id: string; incarnation: number }> {
  const agentId = newId()
  const id = newId()
  await db
    .insertInto('agents')
    .values({
      id: agentId,
      tenant_id: tenantId,
      name: `agent-${agentId}`,
      version: '1.0.0',
      description: null,
      skills: JSON.stringify(skills.map((skill) => ({ id: skill }))),
      skill_ids: skills,
      labels: '{}',
      deleted_at: null,
    })
    .execute()
  await db
    .insertInto('agent_instances')
    .values({
      id,
      tenant_id: tenantId,
      agent_id: agentId,
      subject,
      version: '1.0.0',
      skills,
      slots,
      lifecycle: 'ready',
      health: 'passing',
      incarnation: 1,
      registered_at: sql<Date>`now()`,
      last_heartbeat_at: sql<Date>`now()`,
      lease_expires_at: sql<Date>`now() + interval '10 minutes'`,
    })
    .execute()
  return { id, incarnation: 1 }
}
