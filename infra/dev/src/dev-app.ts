import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { ROOT } from './checkout.ts'
import { out } from './console.ts'
import { ensureAgentClient, readCredentials, writeCredentials } from './credentials.ts'
import type { DevEnvironment } from './dev-environment.ts'
import { readDevEnvironment } from './dev-environment.ts'
import { onEnd } from './graceful-end.ts'
import { ownEnv } from './own-env.ts'
import { agentEnv, folderOf, isServiceApp, serviceEnv, urlOf } from './service-env.ts'
import type { ServiceApp } from './service-env.ts'

// `dev-app.ts APP`: the `dev` task of each app under `turbo dev`. Waits for the servers, then runs the app from its sources
// and starts it again whenever one of them, or of a package it imports, is saved.
const app = process.argv[2]
const WAIT_MS = 300_000

const end = onEnd((signal) => process.exit(128 + constants.signals[signal]))
try {
  process.exitCode = await run()
} catch (error) {
  if (!end.signal.aborted) {
    out(error instanceof Error ? error.message : String(error))
    process.exitCode = 1
  }
}
process.exit()

async function run(): Promise<number> {
  const dev = await waitFor('the servers', async () => readDevEnvironment())
  const env = isServiceApp(app) ? serviceEnvironment(app, dev) : await agentEnvironment(dev)
  // In development nobody waits for requests in flight.
  const child = spawn(
    process.execPath,
    ['--watch', '--watch-preserve-output', '--conditions=@hypercode/source', 'src/server.ts'],
    {
      cwd: folderOf(app ?? ''),
      env: { ...env, DRAIN_MS: '500' },
      stdio: ['ignore', 'inherit', 'inherit'],
    },
  )
  const stop = (): void => void child.kill('SIGTERM')
  end.signal.addEventListener('abort', stop, { once: true })
  const watch = setInterval(() => {
    if (readDevEnvironment()?.owner.startTime !== dev.owner.startTime) stop() // without servers there is nothing to run on
  }, 1_000)
  const code = await new Promise<number>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (exit, signal) => resolve(exit ?? (signal === null ? 0 : 128 + constants.signals[signal])))
  })
  clearInterval(watch)
  return end.signal.aborted ? 0 : code
}

function serviceEnvironment(service: ServiceApp, { env, ports, ...dev }: DevEnvironment): Record<string, string> {
  const place = { gatewayUrl: urlOf('gateway', ports), target: ROOT, modelKey: env['OPENAI_API_KEY'], log: out }
  return serviceEnv(service, env, ports, storesOf({ env, ports, ...dev }), ownEnv(service, env, place))
}

/** Agents log in at the gateway, so that has to be up, and needs to know them. */
async function agentEnvironment(dev: DevEnvironment): Promise<Record<string, string>> {
  const name = app?.match(/^([a-z-]+)-agent$/)?.[1]
  if (name === undefined) throw new Error(`dev-app knows no app ${app ?? '(none given)'}`)
  const gatewayUrl = urlOf('gateway', dev.ports)
  await waitFor('the gateway', async () => await isReady(gatewayUrl))
  const bootstrap = readCredentials()?.bootstrap
  if (bootstrap === undefined) throw new Error('the credentials of the local platform are missing')
  const { HYPERCODE_CLIENT_ID: clientId, HYPERCODE_CLIENT_SECRET: clientSecret } = dev.env
  const given = clientId && clientSecret ? { clientId, clientSecret } : undefined
  const agents = await ensureAgentClient(gatewayUrl, bootstrap, given)
  writeCredentials({ bootstrap, agents })
  return agentEnv(dev.env, gatewayUrl, agents, { instance: `${name}-dev`, port: 0 })
}

/** @throws Error as long as it does not answer at all */
async function isReady(gatewayUrl: string): Promise<true | undefined> {
  const response = await fetch(`${gatewayUrl}/readyz`, { signal: AbortSignal.timeout(2_000) })
  await response.body?.cancel()
  return response.ok ? true : undefined
}

/** Looks until something is found; a look that throws counts as "not yet", and is told when the time is up. */
async function waitFor<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  const deadline = Date.now() + WAIT_MS
  let nextLine = Date.now() + 2_000
  let last = 'it is not ready'
  for (;;) {
    try {
      const found = await look()
      if (found !== undefined) return found
    } catch (error) {
      last = error instanceof Error ? error.message : String(error)
    }
    end.signal.throwIfAborted()
    if (Date.now() >= deadline) throw new Error(`${what} did not come up within ${WAIT_MS / 60_000} minutes: ${last}`)
    if (Date.now() >= nextLine) {
      out(`waiting for ${what}`)
      nextLine += 10_000
    }
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}

function storesOf({ env }: DevEnvironment): { DATABASE_URL: string; REDIS_URL: string } {
  return { DATABASE_URL: env['DATABASE_URL'] ?? '', REDIS_URL: env['REDIS_URL'] ?? '' }
}
