import type { Explanation, Gate } from '@hypercode/contracts'
import { expect } from 'vitest'
import type { Stage } from '../harness.ts'

export async function explain(stage: Stage, taskId: string): Promise<Explanation> {
  const answer = await stage.operator.call<Explanation>('GET', `/v1/tasks/${taskId}:explain`)
  expect(answer.status, JSON.stringify(answer.body)).toBe(200)
  return answer.body
}

/** What is said of the task with this key of a mission. */
export async function explainKey(stage: Stage, missionId: string, key: string): Promise<Explanation> {
  const task = (await stage.tasks(missionId)).find((one) => one.key === key)
  if (task === undefined) throw new Error(`no task ${key}`)
  return await explain(stage, task.id)
}

/** The gates that are shut. */
export const shut = ({ gates }: Explanation): Gate[] => gates.filter(({ status }) => status !== 'pass')

/** Exactly this gate is shut; answers it. */
export function onlyShut(explanation: Explanation, gate: Gate['gate']): Gate {
  expect(
    shut(explanation).map((one) => one.gate),
    JSON.stringify(explanation.gates),
  ).toEqual([gate])
  const [found] = shut(explanation) as [Gate]
  expect(explanation.summary).toBe(found.detail)
  return found
}
