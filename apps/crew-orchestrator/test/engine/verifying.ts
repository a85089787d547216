/** What tests of verifications have in common. */
import type { ClaimedTask, Task } from '@hypercode/contracts'
import { crewOf } from '../harness.ts'
import type { AgentCaller, Stage } from '../harness.ts'

export const one = (verify: object, task: Record<string, unknown> = {}): object =>
  crewOf('x', [
    { id: 'a', input: { goal: 'g' }, verify, ...task },
    { id: 'b', dependsOn: ['a'], input: '${tasks.a.output}' },
  ])

export const taskOf = async (stage: Stage, missionId: string, key: string): Promise<Task> => {
  const found = (await stage.tasks(missionId)).find((task) => task.key === key)
  if (found === undefined) throw new Error(`no task ${key}`)
  return found
}

export const next = async (agent: AgentCaller): Promise<ClaimedTask> => {
  const [task] = await agent.claim({ max: 1 })
  if (task === undefined) throw new Error('no work')
  return task
}

export const typesOf = async (stage: Stage, missionId: string, taskId: string): Promise<string[]> =>
  (await stage.events(missionId)).filter((event) => event.task_id === taskId).map(({ type }) => type)
