import path from 'node:path'
import { startPlatform } from '@hypercode/e2e'
import type { Platform } from '@hypercode/e2e'
import { startBenchChild } from './bench-child.ts'
import type { BenchChild } from './bench-child.ts'

export interface Rig {
  readonly platform: Platform
  /** One more process of agents. */
  addAgents(options: AgentOptions): Promise<void>
  stop(): Promise<void>
}

export interface AgentOptions {
  /** In the process. */
  instances: number
  /** Tasks that an instance runs at once. */
  slots: number
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

const BENCH_AGENT = path.join(import.meta.dirname, 'bench-agent.ts')

/** A platform of built services with durable servers, and no-op agents in processes of their own. */
export async function startRig({
  agents = 1,
  instances = 1,
  slots = 1000,
  durable = true,
}: RigOptions = {}): Promise<Rig> {
  const platform = await startPlatform({ durable, env: { LOG_LEVEL: 'warn', RATE_LIMIT_PER_MINUTE: '100000000' } })
  const children: BenchChild[] = []
  const rig: Rig = {
    platform,
    async addAgents(options) {
      children.push(await startAgents(platform, `bench-${children.length}`, options))
    },
    async stop() {
      await Promise.all(children.map(async (child) => child.stop()))
      await platform.stop()
    },
  }
  try {
    for (let index = 0; index < agents; index += 1) await rig.addAgents({ instances, slots })
    return rig
  } catch (error) {
    await rig.stop()
    throw error
  }
}

async function startAgents(platform: Platform, name: string, options: AgentOptions): Promise<BenchChild> {
  const key = await platform.agentKey()
  return await startBenchChild(BENCH_AGENT, {
    HYPERCODE_URL: platform.url,
    HYPERCODE_CLIENT_ID: key.clientId,
    HYPERCODE_CLIENT_SECRET: key.clientSecret,
    HYPERCODE_INSTANCE: name,
    AGENT_SLOTS: String(options.slots),
    AGENT_INSTANCES: String(options.instances),
  })
}
