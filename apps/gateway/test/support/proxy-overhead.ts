/**
 * What a request costs on its way through the gateway: the same heartbeats, straight to a service and through the gateway, in turns.
 * Run it by hand: `node --conditions=@hypercode/source apps/gateway/test/support/proxy-overhead.ts`. It prints one JSON line for each
 * round, with the processor time per request, which says more than the rate on a machine that does other things as well. The service
 * is the real chassis with its checks of token, scope and body, and a handler that does nothing. Linux only.
 */
import { readFileSync } from 'node:fs'
import { AGENT_SCOPES, ROUTES, newId } from '@hypercode/contracts'
import { createService, implement } from '@hypercode/http'
import { createLogger, createMetrics } from '@hypercode/telemetry'
import { randomSecret, signToken, spawnService, startPrivateStack } from '@hypercode/testkit/tools'
import { Pool } from 'undici'

const CONNECTIONS = 50
const BEATS = 30_000
const ROUNDS = 3
const AUTH = { issuer: 'https://hypercode.local', audience: 'hypercode' }

if (process.argv[2] === 'service') await serve()
else await measure()

async function serve(): Promise<void> {
  const app = await createService({
    name: 'agent-registry',
    version: '0',
    logger: createLogger({ service: 'agent-registry', level: 'warn' }),
    metrics: createMetrics('agent-registry'),
    auth: { ...AUTH, keys: { secret: String(process.env['JWT_SECRET']) } },
  })
  implement(app, ROUTES.heartbeatAgent, () => ({ leaseMs: 15_000, lifecycle: 'ready', canceled: [], lost: [] }))
  await app.listen({ host: '127.0.0.1', port: Number(process.env['PORT']) })
}

async function measure(): Promise<void> {
  const stack = await startPrivateStack()
  const secret = randomSecret()
  const service = await spawnService({
    entry: 'apps/gateway/test/support/proxy-overhead.ts',
    args: ['service'],
    portVariable: 'PORT',
    readyPath: '/livez',
    env: { JWT_SECRET: secret },
  })
  const gateway = await spawnService({
    entry: 'apps/gateway/src/server.ts',
    portVariable: 'GATEWAY_PORT',
    env: {
      JWT_SECRET: secret,
      DATABASE_URL: stack.databaseUrl,
      REDIS_URL: stack.redisUrl,
      REGISTRY_URL: service.url,
      RATE_LIMIT_PER_MINUTE: '100000000',
      LOG_LEVEL: 'warn',
    },
  })
  const token = signToken(secret, { tenantId: newId(), scopes: AGENT_SCOPES, issuer: AUTH.issuer })
  try {
    for (let round = 1; round <= ROUNDS; round += 1) {
      const direct = await load(service.url, token, [service.pid])
      const through = await load(gateway.url, token, [gateway.pid, service.pid])
      process.stdout.write(`${JSON.stringify({ round, direct, through })}\n`)
    }
  } finally {
    await Promise.all([gateway.stop(), service.stop()])
    await stack.stop()
  }
}

interface Cost {
  perSecond: number
  p50Ms: number
  p99Ms: number
  /** Processor time of each process, for one request. */
  cpuUs: number[]
}

async function load(url: string, token: string, pids: readonly number[]): Promise<Cost> {
  const pool = new Pool(url, { connections: CONNECTIONS })
  const body = JSON.stringify({ incarnation: 1, seq: 7, tasks: [{ taskId: newId(), attempt: 1 }], loopLagMs: 2 })
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
  const path = `/v1/agents/${newId()}/heartbeat`
  const beat = async (): Promise<number> => {
    const startedAt = performance.now()
    const { statusCode, body: answer } = await pool.request({ path, method: 'POST', headers, body })
    await answer.dump()
    if (statusCode !== 200) throw new Error(`answered ${statusCode}`)
    return performance.now() - startedAt
  }
  const beats = async (count: number): Promise<number[]> => {
    const times: number[] = []
    let left = count
    const beatOn = async (): Promise<void> => {
      while (left-- > 0) times.push(await beat())
    }
    await Promise.all(Array.from({ length: CONNECTIONS }, beatOn))
    return times
  }
  await beats(2000)
  const cpuBefore = pids.map(cpuUs)
  const startedAt = performance.now()
  const times = (await beats(BEATS)).sort((a, b) => a - b)
  const ms = performance.now() - startedAt
  const used = pids.map((pid, index) => Math.round((cpuUs(pid) - (cpuBefore[index] ?? 0)) / BEATS))
  await pool.close()
  const at = (share: number): number => Number((times[Math.floor(times.length * share)] ?? 0).toFixed(2))
  return { perSecond: Math.round((BEATS / ms) * 1000), p50Ms: at(0.5), p99Ms: at(0.99), cpuUs: used }
}

/** Processor time that a process has used so far, in microseconds; the kernel counts it in hundredths of a second. */
function cpuUs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) * 10_000
}
