/** What an agent does in tests of the flow of a mission. */
import type { ClaimedTask } from '@hypercode/contracts'
import { expect } from 'vitest'
import type { AgentCaller, Stage } from '../harness.ts'

export const states = async (stage: Stage, id: string): Promise<Record<string, string>> =>
  Object.fromEntries((await stage.tasks(id)).map((task) => [task.key, task.state]))

export async function take(agent: AgentCaller, ...keys: string[]): Promise<ClaimedTask[]> {
  const tasks = await agent.claim({ max: 100, waitMs: keys.length === 0 ? 0 : 5000 })
  expect(tasks.map((task) => task.key).sort()).toEqual(keys.toSorted())
  return tasks
}

export async function step(agent: AgentCaller, key: string, output: unknown = null): Promise<void> {
  const [task] = (await take(agent, key)) as [ClaimedTask]
  expect((await agent.complete(task, output)).status).toBe(200)
}
