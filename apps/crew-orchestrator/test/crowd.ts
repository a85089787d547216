import type { ClaimedTask } from '@hypercode/contracts'
import type { AgentCaller } from './harness.ts'

export interface CrowdOptions {
  agents: readonly AgentCaller[]
  /** Does and reports one task; what it does not report runs out of its lease. */
  work: (agent: AgentCaller, task: ClaimedTask) => Promise<unknown>
  max?: number
}

export interface Crowd {
  /** Every attempt that any agent was given, in the order of the answers. */
  readonly given: readonly { agent: string; taskId: string; key: string; attempt: number }[]
  /** Ends the claims and waits for the work in hand. */
  stop(): Promise<void>
}

/** Agents that claim, work and report, each by itself, until they are stopped. */
export function startCrowd({ agents, work, max = 5 }: CrowdOptions): Crowd {
  const given: { agent: string; taskId: string; key: string; attempt: number }[] = []
  let stopped = false
  const live = async (agent: AgentCaller): Promise<void> => {
    while (!stopped) {
      const tasks = await agent.claim({ max, waitMs: 300 })
      given.push(...tasks.map(({ taskId, key, attempt }) => ({ agent: agent.instanceId, taskId, key, attempt })))
      await Promise.all(tasks.map((task) => work(agent, task)))
    }
  }
  const living = Promise.all(agents.map(live))
  return {
    given,
    async stop() {
      stopped = true
      await living
    },
  }
}
