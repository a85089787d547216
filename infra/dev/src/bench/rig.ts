import { fork } from 'node:child_process'
import path from 'node:path'
import { startPlatform } from '@hypercode/e2e'
import type { Platform } from '@hypercode/e2e'

export interface Rig {
  readonly platform: Platform
  stop(): Promise<void>
}

export interface RigOptions {
  /** Agent processes; one when not given. */
  agents?: number
  /** Instances in each process; one when not given. */
  instances?: number
  /** Tasks that an instance runs at once. */
  slots?: number
  durable?: boolean
}

/** A platform of built services with durable servers, and no-op agents in processes of their own. */
export async function startRig({
  agents = 1,
  instances = 1,
  slots = 500,
  durable = true,
}: RigOptions = {}): Promise<Rig> {
  const platform = await startPlatform({ durable, env: { LOG_LEVEL: 'warn', RATE_LIMIT_PER_MINUTE: '100000000' } })
  const children: Awaited<ReturnType<typeof startAgentProcess>>[] = []
  const stop = async (): Promise<void> => {
    await Promise.all(children.map(async (child) => child.stop()))
    await platform.stop()
  }
  try {
    const key = await platform.agentKey()
    for (let index = 0; index < agents; index += 1) {
      children.push(
        await startAgentProcess({
          HYPERCODE_URL: platform.url,
          HYPERCODE_CLIENT_ID: key.clientId,
          HYPERCODE_CLIENT_SECRET: key.clientSecret,
          HYPERCODE_INSTANCE: `bench-${index}`,
          AGENT_SLOTS: String(slots),
          AGENT_INSTANCES: String(instances),
        }),
      )
    }
    return { platform, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

const READY_MS = 20_000

async function startAgentProcess(env: Record<string, string>): Promise<{ stop(): Promise<void> }> {
  const child = fork(path.join(import.meta.dirname, 'bench-agent.ts'), [], {
    execArgv: ['--conditions=@hypercode/source'],
    env: { PATH: process.env['PATH'] ?? '', ...env },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`a bench agent was not registered within ${READY_MS} ms`)),
      READY_MS,
    )
    child.once('message', () => {
      clearTimeout(timer)
      resolve()
    })
    child.once('exit', (code) => {
      clearTimeout(timer)
      reject(new Error(`a bench agent ended with ${code}`))
    })
  })
  return {
    async stop() {
      child.disconnect()
      const timer = setTimeout(() => child.kill('SIGKILL'), 5000)
      await gone
      clearTimeout(timer)
    },
  }
}
