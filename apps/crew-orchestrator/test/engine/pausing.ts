/** What people do in tests of missions that a failure pauses. */
import type { Approval, ClaimedTask, DeadLetter, Gate, Problem, Task } from '@hypercode/contracts'
import { expect } from 'vitest'
import { explainKey, shut } from '../explain/explaining.ts'
import { crewOf } from '../harness.ts'
import type { AgentCaller, Answer, Stage } from '../harness.ts'
import { expectInvariants } from '../invariants.ts'

export const crew = (tasks: readonly Record<string, unknown>[]): object =>
  crewOf('x', tasks, { policy: { onTaskFailure: 'pause' } })

export const taskOf = async (stage: Stage, missionId: string, key = 'a'): Promise<Task> => {
  const found = (await stage.tasks(missionId)).find((task) => task.key === key)
  if (found === undefined) throw new Error(`no task ${key}`)
  return found
}

export const stateOf = async (stage: Stage, missionId: string): Promise<Record<string, string>> => ({
  mission: (await stage.mission(missionId)).state,
  ...Object.fromEntries((await stage.tasks(missionId)).map(({ key, state }) => [key, state])),
})

export const post = async (stage: Stage, path: string, body: object = {}): Promise<Answer<Problem>> =>
  await stage.operator.call<Problem>('POST', path, body)

export const operate = async (
  stage: Stage,
  missionId: string,
  operation: 'retry' | 'skip',
  key = 'a',
): Promise<number> => (await post(stage, `/v1/tasks/${(await taskOf(stage, missionId, key)).id}:${operation}`)).status

export const resume = async (stage: Stage, missionId: string): Promise<void> =>
  expect((await post(stage, `/v1/missions/${missionId}:resume`)).status).toBe(200)

export const letterOf = async (stage: Stage, missionId: string): Promise<DeadLetter> => {
  const path = `/v1/dead-letters?open=true&missionId=${missionId}`
  const { items } = (await stage.operator.call<{ items: DeadLetter[] }>('GET', path)).body
  expect(items).toHaveLength(1)
  return items[0] as DeadLetter
}

export const asked = async (stage: Stage, missionId: string): Promise<Approval> => {
  const path = `/v1/approvals?missionId=${missionId}&state=open`
  const { items } = (await stage.operator.call<{ items: Approval[] }>('GET', path)).body
  expect(items).toHaveLength(1)
  return items[0] as Approval
}

export const decide = async (stage: Stage, { id, hash }: Approval, verdict: 'approve' | 'reject', comment = 'so') =>
  expect((await post(stage, `/v1/approvals/${id}:${verdict}`, { hash, comment })).status).toBe(200)

export const next = async (agent: AgentCaller): Promise<ClaimedTask> => {
  const [task] = await agent.claim({ max: 1, waitMs: 1000 })
  if (task === undefined) throw new Error('no work')
  return task
}

export const finish = async (stage: Stage, agent: AgentCaller, missionId: string): Promise<void> => {
  for (let claimed = await agent.claim({ waitMs: 0 }); claimed.length > 0; claimed = await agent.claim({ waitMs: 0 }))
    for (const task of claimed) await agent.complete(task)
  expect((await stage.mission(missionId)).state).toBe('completed')
  await expectInvariants(stage.db)
}

/** The mission is paused, and everybody is told by what: its events, its dead letter, and who asks why a task waits. */
export async function expectPausedBy(stage: Stage, missionId: string, code: string, message: string): Promise<void> {
  expect(await stateOf(stage, missionId)).toMatchObject({ mission: 'paused', a: 'paused', b: 'blocked' })
  const task = await taskOf(stage, missionId)
  const told = (await stage.events(missionId)).findLast(({ type }) => type === 'mission.paused')
  expect(told?.body).toMatchObject({ taskId: task.id, code, reason: expect.stringContaining(message) })
  const letter = await letterOf(stage, missionId)
  expect(letter).toMatchObject({ taskId: task.id, error: { code } })
  const [mission, attempts] = shut(await explainKey(stage, missionId, 'a')) as [Gate, Gate]
  expect(mission).toMatchObject({
    gate: 'mission',
    detail: expect.stringContaining(message),
    holders: [{ kind: 'mission' }, { kind: 'task', id: task.id }],
    command: { method: 'POST', path: `/v1/missions/${missionId}:resume` },
  })
  expect(attempts).toMatchObject({
    gate: 'attempts',
    detail: expect.stringContaining(code),
    command: { method: 'POST', path: `/v1/dead-letters/${letter.id}:replay` },
  })
  await expectInvariants(stage.db)
}
