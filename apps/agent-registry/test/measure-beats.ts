/**
 * Measures heartbeats of one registry process through HTTP, on servers of its own:
 * `node --conditions=@hypercode/source apps/agent-registry/test/measure-beats.ts [AGENTS] [SECONDS] [CONNECTIONS] [BEATS_PER_SECOND]`.
 * Without a rate it beats as fast as the connections allow.
 * The load generator and the servers share the machine with the registry. Prints one JSON line.
 */
import { spawn } from 'node:child_process'
import { createHmac, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { newId } from '@hypercode/contracts'
import { migrate, openDatabase } from '@hypercode/db'
import { APP_ROLE, startStack } from '@hypercode/local-stack'
import { sql } from 'kysely'

const [agents = 10_000, seconds = 10, connections = 64, perSecond = 0] = process.argv.slice(2).map(Number)
const TASKS_EACH = 1
const ISSUER = 'https://hypercode.test'

const stack = await startStack({
  dir: mkdtempSync(path.join(tmpdir(), 'hypercode-measure-')),
  runtimeDir: path.resolve(import.meta.dirname, '../../../.hypercode/runtime'),
  durable: false,
  ephemeral: true,
})
await migrate({ directUrl: stack.directDatabaseUrl, appRole: APP_ROLE })
const jwtSecret = randomBytes(48).toString('base64url')
const owner = openDatabase({
  url: stack.directDatabaseUrl,
  poolMax: 1,
  applicationName: 'measure',
  onIdleError: () => undefined,
  queryTimeoutMs: 120_000,
})
const registry = spawn(process.execPath, ['--conditions=@hypercode/source', 'apps/agent-registry/src/server.ts'], {
  stdio: ['ignore', 'pipe', 'inherit'],
  env: {
    PATH: process.env['PATH'],
    LOG_LEVEL: 'info',
    REGISTRY_PORT: '0',
    DATABASE_URL: stack.databaseUrl,
    REDIS_URL: stack.redisUrl,
    JWT_SECRET: jwtSecret,
    JWT_ISSUER: ISSUER,
  },
})
try {
  const url = await new Promise<URL>((resolve) => {
    createInterface(registry.stdout).on('line', (line) => {
      const { url } = JSON.parse(line) as { url?: string }
      if (url !== undefined) resolve(new URL(url))
    })
  })
  const instances = await makeAgents()
  const line = await measure(url, instances)
  process.stdout.write(`${JSON.stringify(line)}\n`)
} finally {
  registry.kill('SIGTERM')
  await once(registry, 'exit')
  await owner.close()
  await stack.stop()
}

interface Beater {
  readonly path: string
  readonly token: string
  seq: number
  readonly tasks: { taskId: string; attempt: number }[]
}

/** Instances that executed a task each, and that no sweep takes for silent, however long the measurement takes to reach them. */
async function makeAgents(): Promise<Beater[]> {
  const tenantId = newId()
  await sql`insert into tenants (id, name) values (${tenantId}, 'measured')`.execute(owner.db)
  const missionId = newId()
  await sql`insert into missions (id, tenant_id, crew, state, total_tasks, open_tasks, on_task_failure, correlation_id, created_by, event_seq)
    values (${missionId}, ${tenantId}, 'crew', 'running', 1, 1, 'fail', 'x', 'x', 0)`.execute(owner.db)
  const rows = Array.from({ length: agents }, (_, n) => ({
    id: newId(),
    agent: newId(),
    task: newId(),
    name: `agent-${n}`,
  }))
  const list = JSON.stringify(rows)
  const from = sql`json_to_recordset(${list}::json) as r(id uuid, agent uuid, task uuid, name text)`
  await sql`insert into agents (id, tenant_id, name, version, skills, skill_ids)
    select agent, ${tenantId}, name, '1', '[{"id":"code.edit"}]', '{code.edit}' from ${from}`.execute(owner.db)
  await sql`insert into agent_instances (id, tenant_id, agent_id, subject, version, skills, slots, lifecycle, health, incarnation,
      registered_at, last_heartbeat_at, lease_expires_at)
    select id, ${tenantId}, agent, id::text, '1', '{code.edit}', 1, 'ready', 'passing', 1, now(), now() + interval '15 minutes', now() + interval '15 minutes'
    from ${from}`.execute(owner.db)
  await sql`insert into tasks (id, tenant_id, mission_id, key, leaf, queue, state, attempt, max_attempts, retry, lease_owner,
      lease_incarnation, claim_id, lease_expires_at, started_at)
    select task, ${tenantId}, ${missionId}, name, true, 'code.edit', 'executing', 1, 5, '{}', id, 1, id, now() + interval '15 minutes', now()
    from ${from} where ${TASKS_EACH} > 0`.execute(owner.db)
  await sql`analyze`.execute(owner.db)
  return rows.map(({ id, agent, task }) => ({
    path: `/v1/agents/${agent}/heartbeat`,
    token: signToken(tenantId, id),
    seq: 0,
    tasks: TASKS_EACH > 0 ? [{ taskId: task, attempt: 1 }] : [],
  }))
}

async function measure(url: URL, beaters: readonly Beater[]) {
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  const took: number[] = []
  let failed = 0
  let next = 0
  const beat = async (): Promise<void> => {
    const one = beaters[next++ % beaters.length] as Beater
    const body = JSON.stringify({ incarnation: 1, seq: (one.seq += 1), tasks: one.tasks })
    const startedAt = performance.now()
    await new Promise<void>((resolve, reject) => {
      const headers = {
        authorization: `Bearer ${one.token}`,
        'content-type': 'application/json',
        'content-length': body.length,
      }
      const outgoing = request(
        { host: url.hostname, port: url.port, path: one.path, method: 'POST', headers, agent },
        (answer) => {
          if (answer.statusCode !== 200) failed += 1
          answer.resume().once('end', resolve)
        },
      )
      outgoing.once('error', reject)
      outgoing.end(body)
    })
    took.push(performance.now() - startedAt)
  }
  const load = async (ms: number): Promise<void> => {
    const until = performance.now() + ms
    await Promise.all(
      Array.from({ length: connections }, async () => {
        while (performance.now() < until) {
          if (perSecond > 0) await sleep((Math.random() * 2000 * connections) / perSecond)
          await beat()
        }
      }),
    )
  }
  await load(3000)
  took.length = 0
  const cpuBefore = cpuSeconds(registry.pid ?? 0)
  const startedAt = performance.now()
  await load(seconds * 1000)
  const elapsedS = (performance.now() - startedAt) / 1000
  const cpuS = cpuSeconds(registry.pid ?? 0) - cpuBefore
  agent.destroy()
  took.sort((a, b) => a - b)
  const at = (share: number): number => Math.round((took[Math.floor(took.length * share)] ?? 0) * 10) / 10
  return {
    name: 'beats',
    figure: Math.round(took.length / elapsedS),
    unit: 'beats/s',
    agents,
    connections,
    tasksEach: TASKS_EACH,
    failed,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    registryCpuShare: Math.round((cpuS / elapsedS) * 100) / 100,
    cpuUsPerBeat: Math.round((cpuS / took.length) * 1e6),
  }
}

/** CPU time of a process so far (Linux: utime and stime are fields 14 and 15, in hundredths of a second). */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) / 100
}

/** An access token as the gateway would sign it with a shared secret. */
function signToken(tenant: string, sub: string): string {
  const iat = Math.floor(Date.now() / 1000)
  const claims = { iss: ISSUER, aud: 'hypercode', sub, tenant, scope: 'agent:write', jti: newId(), iat, exp: iat + 900 }
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const signed = `${encode({ alg: 'HS256', typ: 'at+jwt' })}.${encode(claims)}`
  return `${signed}.${createHmac('sha256', jwtSecret).update(signed).digest('base64url')}`
}
