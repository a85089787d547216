import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import path from 'node:path'
import { Pool } from 'undici'
import { pickPort } from '../../../../packages/local-stack/src/index.ts'
import { startBenchChild } from '../../../dev/src/bench/bench-child.ts'
import { runConcurrently } from '../../../dev/src/bench/statistics.ts'
import { PAYLOAD, expectPayload } from '../contender.ts'
import type { Contender, Ground } from '../contender.ts'

const PARTITIONS = 2
const CONNECTIONS = 400
const READY_MS = 30_000

/** The server from its npm package, a service in a process of its own, and a submitter that calls the ingress and waits for the answer. */
export async function start({ dir }: Ground): Promise<Contender> {
  const [node, ingress, admin, service] = [await pickPort(), await pickPort(), await pickPort(), await pickPort()]
  const server = await startServer(dir, { node, ingress, admin })
  const worker = await startBenchChild(path.join(import.meta.dirname, 'restate-worker.ts'), { PORT: String(service) })
  await register(admin, service)
  const pool = new Pool(`http://127.0.0.1:${ingress}`, { connections: CONNECTIONS, pipelining: 1 })
  const run = async (handler: string): Promise<void> => {
    const { statusCode, body } = await pool.request({
      method: 'POST',
      path: `/bench/${handler}`,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ payload: PAYLOAD }),
    })
    const answer: unknown = await body.json()
    if (statusCode !== 200) throw new Error(`${statusCode} ${JSON.stringify(answer)}`)
    expectPayload(answer)
  }
  return {
    burst: async (missions) => runConcurrently(missions, CONNECTIONS, async () => run('single')),
    single: async () => run('single'),
    chain: async () => run('chain'),
    fan: async () => run('fan'),
    settings: {
      server: `one node, ${PARTITIONS} partitions for 2 cores (24 by default), log and store with fsync as by default`,
      service: 'one process, HTTP/2',
      P1: `one call each over ${CONNECTIONS} connections (there is no bulk call); the handler is the task`,
      'P2–P4': 'calls through the ingress; tasks are ctx.run, side by side with RestatePromise.all',
    },
    async stop() {
      await pool.close()
      await worker.stop()
      await server.stop()
    },
  }
}

interface Ports {
  readonly node: number
  readonly ingress: number
  readonly admin: number
}

async function startServer(dir: string, ports: Ports): Promise<{ stop(): Promise<void> }> {
  const packageOf = createRequire(import.meta.resolve('@restatedev/restate-server/package.json'))
  const program = packageOf.resolve(`@restatedev/restate-server-${process.platform}-${process.arch}/bin/restate-server`)
  const at = (port: number): string => `127.0.0.1:${port}`
  const child = spawn(program, ['--base-dir', dir, '--node-name', 'bench', '--no-logo'], {
    env: {
      PATH: process.env['PATH'] ?? '',
      RESTATE_LISTEN_MODE: 'tcp',
      RESTATE_BIND_ADDRESS: at(ports.node),
      RESTATE_ADVERTISED_ADDRESS: `http://${at(ports.node)}`,
      RESTATE_INGRESS__BIND_ADDRESS: at(ports.ingress),
      RESTATE_ADMIN__BIND_ADDRESS: at(ports.admin),
      RESTATE_DEFAULT_NUM_PARTITIONS: String(PARTITIONS),
      RESTATE_DISABLE_TELEMETRY: 'true',
      RESTATE_LOG_FILTER: 'error,octocrab=off',
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL')
    await gone
  }
  // It would outlive a parent that dies by itself.
  process.once('exit', () => child.kill('SIGKILL'))
  try {
    await untilReady([`http://${at(ports.admin)}/health`, `http://${at(ports.ingress)}/restate/health`])
  } catch (error) {
    await stop()
    throw error
  }
  return { stop }
}

async function untilReady(urls: readonly string[]): Promise<void> {
  const deadline = performance.now() + READY_MS
  for (const url of urls) {
    while (!(await isUp(url))) {
      if (performance.now() > deadline) throw new Error(`restate-server was not ready within ${READY_MS} ms: ${url}`)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}

const isUp = async (url: string): Promise<boolean> =>
  fetch(url, { signal: AbortSignal.timeout(2000) }).then(
    (answer) => answer.ok,
    () => false,
  )

async function register(admin: number, service: number): Promise<void> {
  const answer = await fetch(`http://127.0.0.1:${admin}/deployments`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ uri: `http://127.0.0.1:${service}` }),
  })
  if (!answer.ok) throw new Error(`the service was not registered: ${answer.status} ${await answer.text()}`)
}
