/** What people and handlers do in tests of approvals. */
import type { Approval, ClaimedTask, Mission, Problem } from '@hypercode/contracts'
import { sql } from 'kysely'
import { expect } from 'vitest'
import { crewOf } from '../harness.ts'
import type { AgentCaller, Caller, Stage } from '../harness.ts'

export const inbox = async (stage: Stage, query = ''): Promise<Approval[]> =>
  (await stage.operator.call<{ items: Approval[] }>('GET', `/v1/approvals${query}`)).body.items

export const decide = async (
  who: Caller,
  approval: Approval,
  verdict: 'approve' | 'reject' | 'edit',
  more: object = {},
) =>
  await who.call<Approval & Problem>('POST', `/v1/approvals/${approval.id}:${verdict}`, {
    hash: approval.hash,
    ...more,
  })

export const one = async (agent: AgentCaller): Promise<ClaimedTask> => {
  const [task] = await agent.claim({ max: 1, waitMs: 1000 })
  if (task === undefined) throw new Error('there is nothing to claim')
  return task
}

export const only = (approvals: Approval[]): Approval => {
  expect(approvals).toHaveLength(1)
  return approvals[0] as Approval
}

/** Lets the clock of the database pass the instants of what waits for people. */
export const pass = async (stage: Stage, seconds: number) => {
  await sql`update approvals set deadline_at = deadline_at - ${seconds} * interval '1 second', escalate_at = escalate_at - ${seconds} * interval '1 second'`.execute(
    stage.db,
  )
  await sql`update tasks set available_at = available_at - ${seconds} * interval '1 second' where state = 'input_required'`.execute(
    stage.db,
  )
}

export const stateOf = async (stage: Stage, mission: Mission, key = 'a') =>
  (await stage.tasks(mission.id)).find((task) => task.key === key)

/** A mission whose only task asks before it begins. */
export async function gated(stage: Stage, approval: object = {}): Promise<{ mission: Mission; asked: Approval }> {
  const mission = await stage.submit(crewOf('x', [{ id: 'a', input: { amount: 5 }, approval }]))
  return { mission, asked: only(await inbox(stage, `?missionId=${mission.id}`)) }
}

/** A mission whose only task asks in the middle of its work. */
export async function asking(stage: Stage, terms: object = {}) {
  const agent = await stage.agent(['work'], { slots: 1 })
  const mission = await stage.submit(crewOf('x', [{ id: 'a' }]))
  const { taskId, attempt } = await one(agent)
  const wait = { kind: 'approval', name: 'pay', title: 'Pay?', data: { amount: 5 }, ...terms }
  const answer = await agent.report({ taskId, attempt, outcome: 'waiting', wait })
  return { agent, mission, answer, asked: (await inbox(stage, `?missionId=${mission.id}`))[0] as Approval }
}
