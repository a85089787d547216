/** What tests of compensations have in common. */
import type { ClaimedTask, Mission } from '@hypercode/contracts'
import { expect } from 'vitest'
import { crewOf } from '../harness.ts'
import type { AgentCaller, Stage } from '../harness.ts'

export const UNDO = { skill: 'undo' }

/** `a`, `b` and `c` one after the other; all but the last say how they are undone. */
export const TRIP = crewOf('trip', [
  { id: 'a', compensate: UNDO },
  { id: 'b', dependsOn: ['a'], compensate: { ...UNDO, input: { cancel: '${tasks.b.output}' } } },
  { id: 'c', dependsOn: ['b'] },
])

export const one = async (agent: AgentCaller): Promise<ClaimedTask> => {
  const [task] = await agent.claim({ max: 1 })
  if (task === undefined) throw new Error('there is nothing to claim')
  return task
}

export const states = async (stage: Stage, id: string): Promise<Record<string, string>> =>
  Object.fromEntries((await stage.tasks(id)).map((task) => [task.key, task.state]))

export const cancel = async (stage: Stage, id: string): Promise<Mission> =>
  (await stage.operator.call<Mission>('POST', `/v1/missions/${id}:cancel`)).body

/** A trip whose `c` has just failed: `b` is about to be undone. */
export async function failedTrip(stage: Stage, manifest = TRIP): Promise<{ agent: AgentCaller; mission: Mission }> {
  const agent = await stage.agent(['work', 'undo'])
  const mission = await stage.submit(manifest, 'in')
  await agent.complete(await one(agent), 'A')
  await agent.complete(await one(agent), 'B')
  await agent.fail(await one(agent), { retryable: false })
  return { agent, mission }
}

/** Undoes everything that is asked for; answers the keys in their order. */
export async function undoAll(agent: AgentCaller): Promise<string[]> {
  const keys: string[] = []
  for (;;) {
    const tasks = await agent.claim({ waitMs: 0, skills: ['undo'] })
    if (tasks.length === 0) return keys
    expect(tasks, 'one after the other').toHaveLength(1)
    for (const task of tasks) {
      keys.push(task.key)
      await agent.complete(task)
    }
  }
}
