import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { ROUTES } from '@hypercode/contracts'
import type { Mission } from '@hypercode/contracts'
import { randomSecret, spawnService, waitFor } from '@hypercode/testkit/tools'
import type { ServiceProcess } from '@hypercode/testkit/tools'
import { startPlatform } from '../src/platform.ts'
import type { ClientKey, Platform, PlatformOptions } from '../src/platform.ts'

/** A line that a worker wrote, see agents/worker.ts. */
export interface Effect {
  at: 'begin' | 'step' | 'end'
  taskId: string
  attempt: number
  pid: number
}

export interface Scenario extends Platform {
  worker(instance: string, env?: Record<string, string>): Promise<ServiceProcess>
  effects(): Effect[]
  /** Waits until the mission has ended, through the gateway, whatever is down meanwhile. */
  end(id: string, timeoutMs?: number): Promise<Mission>
}

/** What the services of this file sign and check tokens with. */
export const JWT_SECRET = randomSecret()

/** Lives as long as the test file: `afterAll(() => scenario.stop())`. */
export async function startScenario(options: PlatformOptions = {}): Promise<Scenario> {
  const platform = await startPlatform({
    ...options,
    env: { JWT_SECRET, AGENT_LEASE_MS: '3000', AGENT_HEARTBEAT_MS: '1000', ...options.env },
  })
  const folder = mkdtempSync(path.join(tmpdir(), 'hypercode-e2e-'))
  const effectsFile = path.join(folder, 'effects.jsonl')
  writeFileSync(effectsFile, '')
  const workers: ServiceProcess[] = []
  let key: ClientKey | undefined
  return {
    ...platform,
    async worker(instance, env = {}) {
      key ??= await platform.agentKey()
      const worker = await spawnService({
        entry: 'packages/e2e/agents/worker.ts',
        portVariable: 'AGENT_PORT',
        env: {
          HYPERCODE_URL: platform.url,
          HYPERCODE_CLIENT_ID: key.clientId,
          HYPERCODE_CLIENT_SECRET: key.clientSecret,
          HYPERCODE_INSTANCE: instance,
          EFFECTS_FILE: effectsFile,
          ...env,
        },
      })
      workers.push(worker)
      return worker
    },
    effects: () =>
      readFileSync(effectsFile, 'utf8')
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as Effect),
    async end(id, timeoutMs = 30_000) {
      return await waitFor(
        async () => {
          const { body } = await platform.client.call(ROUTES.getMission, { params: { id } })
          return body.endedAt === undefined ? undefined : body
        },
        { what: `mission ${id} to end`, timeoutMs },
      )
    },
    async stop() {
      await Promise.all(workers.map(async (worker) => worker.stop(2000)))
      await platform.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** A crew of tasks for the worker. */
export const crewOf = (name: string, tasks: Record<string, unknown>[]) => ({
  apiVersion: 'hypercode/v1',
  kind: 'Crew',
  metadata: { name },
  spec: {
    process: 'dag',
    members: [{ id: 'worker', skill: 'e2e.work' }],
    tasks: tasks.map((task) => ({ member: 'worker', ...task })),
  },
})
