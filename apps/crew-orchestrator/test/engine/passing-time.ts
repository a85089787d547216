/** How tests of leases and time-outs let time pass. */
import type { ClaimedTask, DeadLetter, Task } from '@hypercode/contracts'
import { sql } from 'kysely'
import { crewOf } from '../harness.ts'
import type { AgentCaller, Stage } from '../harness.ts'

/** Moves instants of tasks into the past instead of waiting for them. */
export const overdue = async (stage: Stage, column: string, where = 'true'): Promise<void> =>
  void (await sql
    .raw(`update tasks set ${column} = now() - interval '1 ms' where ${column} is not null and ${where}`)
    .execute(stage.db))

export const oneTask = (more: Record<string, unknown> = {}): object => crewOf('one', [{ id: 'a', ...more }])

export async function claimed(stage: Stage, manifest: object): Promise<{ agent: AgentCaller; task: ClaimedTask }> {
  const agent = await stage.agent(['work'])
  await stage.submit(manifest)
  const [task] = (await agent.claim()) as [ClaimedTask]
  return { agent, task }
}

export const readTask = async (stage: Stage, id: string): Promise<Task> =>
  (await stage.operator.call<Task>('GET', `/v1/tasks/${id}`)).body

export const letters = async (stage: Stage): Promise<DeadLetter[]> =>
  (await stage.operator.call<{ items: DeadLetter[] }>('GET', '/v1/dead-letters')).body.items
