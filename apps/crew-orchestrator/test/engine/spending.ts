/** Missions with a budget, and what uses it up. */
import type { ClaimedTask, Mission, MissionCosts, Problem } from '@hypercode/contracts'
import { crewOf } from '../harness.ts'
import type { AgentCaller, Answer, Stage } from '../harness.ts'

export const tasks = (count: number) => Array.from({ length: count }, (_, n) => ({ id: `t${n}` }))

export const crew = (count: number, budget: object) => crewOf('spender', tasks(count), { policy: { budget } })

/** Reports a call of a model: 100 tokens and 0.1 USD, unless it says otherwise. */
export const use = async (
  agent: AgentCaller,
  task: ClaimedTask,
  amounts: object = {},
  key = 'call',
): Promise<Answer<Problem>> =>
  await agent.call<Problem>('POST', `/v1/tasks/${task.taskId}/usage`, {
    incarnation: agent.incarnation,
    attempt: task.attempt,
    key,
    ...{ model: 'small', inputTokens: 90, outputTokens: 10, usd: 0.1 },
    ...amounts,
  })

export const resume = async (
  { operator }: Pick<Stage, 'operator'>,
  id: string,
  body?: object,
): Promise<Answer<Mission & Problem>> =>
  await operator.call<Mission & Problem>('POST', `/v1/missions/${id}:resume`, body)

export const pauses = async (stage: Stage, id: string): Promise<Record<string, unknown>[]> =>
  (await stage.events(id)).filter(({ type }) => type === 'mission.paused').map(({ body }) => body)

export const costsOf = async ({ operator }: Pick<Stage, 'operator'>, id: string): Promise<MissionCosts> =>
  (await operator.call<MissionCosts>('GET', `/v1/missions/${id}/costs`)).body
