import { ApiError } from '@hypercode/client'
import type { HyperClient } from '@hypercode/client'
import { ROUTES } from '@hypercode/contracts'
import type { Mission, MissionCosts, SubmitMission, Task } from '@hypercode/contracts'
import { persist } from './persist.ts'
import type { SampleLimits } from '../domain/sample-mission.ts'

export interface MissionBounds {
  /** How long the platform may be away. */
  readonly awayMs: number
  readonly signal: AbortSignal
}

/** The mission of this key: the one that was submitted before, when there is one. */
export async function submit(
  client: HyperClient,
  body: SubmitMission,
  idempotencyKey: string,
  { awayMs, signal }: MissionBounds,
): Promise<Mission> {
  return await persist(
    { forMs: awayMs, signal },
    async () => (await client.call(ROUTES.submitMission, { body, idempotencyKey, signal })).body,
  )
}

/** How a mission came to its end: by itself, or because it spent more than the sample may. */
export interface MissionEnd {
  readonly mission: Mission
  readonly exceeded: string | undefined
}

const WAIT_S = 10
/** How often the spending of a sample with a budget is looked at, seconds. */
const BUDGET_WAIT_S = 2

/** Waits for the end of a mission, and ends it when it spends more than its limits. */
export async function awaitMission(
  client: HyperClient,
  id: string,
  limits: Pick<SampleLimits, 'tokens' | 'usd'>,
  { awayMs, signal }: MissionBounds,
): Promise<MissionEnd> {
  const hasBudget = limits.tokens !== undefined || limits.usd !== undefined
  const headers = { prefer: `wait=${hasBudget ? BUDGET_WAIT_S : WAIT_S}` }
  let exceeded: string | undefined
  while (true) {
    const { body: mission } = await persist(
      { forMs: awayMs, signal },
      async () => await client.call(ROUTES.getMission, { params: { id }, headers, signal }),
    )
    if (mission.endedAt !== undefined) return { mission, exceeded }
    if (!hasBudget || exceeded !== undefined) continue
    exceeded = overspent(limits, await costsOf(client, id, { awayMs, signal }))
    if (exceeded !== undefined) await cancel(client, id, exceeded, { awayMs, signal })
  }
}

/** What was spent beyond the limits, in words; undefined when nothing was. */
export function overspent(
  { tokens, usd }: Pick<SampleLimits, 'tokens' | 'usd'>,
  spent: { readonly tokens: number; readonly usd: number },
): string | undefined {
  if (tokens !== undefined && spent.tokens > tokens) return `it used ${spent.tokens} tokens of ${tokens}`
  if (usd !== undefined && spent.usd > usd) return `it cost ${spent.usd} USD of ${usd}`
  return undefined
}

/** What a mission has spent on models, or one task of it. */
export async function costsOf(
  client: HyperClient,
  id: string,
  { awayMs, signal }: MissionBounds,
  taskId?: string,
): Promise<{ tokens: number; usd: number }> {
  const costs: MissionCosts = await persist(
    { forMs: awayMs, signal },
    async () => (await client.call(ROUTES.getMissionCosts, { params: { id }, signal })).body,
  )
  const spent = taskId === undefined ? costs.total : costs.tasks.find((task) => task.taskId === taskId)
  return { tokens: (spent?.inputTokens ?? 0) + (spent?.outputTokens ?? 0), usd: spent?.usd ?? 0 }
}

/** Ends a mission; one that has ended, or is gone, stays as it is. */
export async function cancel(
  client: HyperClient,
  id: string,
  reason: string,
  { awayMs, signal }: MissionBounds,
): Promise<void> {
  await persist({ forMs: awayMs, signal }, async () => {
    try {
      await client.call(ROUTES.cancelMission, { params: { id }, body: { reason }, signal })
    } catch (error) {
      if (!(error instanceof ApiError) || (error.status !== 404 && error.status !== 409)) throw error
    }
  })
}

/** The one task of a sample's mission. */
export async function taskOf(client: HyperClient, id: string, { awayMs, signal }: MissionBounds): Promise<Task> {
  const { items } = await persist(
    { forMs: awayMs, signal },
    async () => (await client.call(ROUTES.listMissionTasks, { params: { id }, signal })).body,
  )
  const [task] = items
  if (task === undefined) throw new Error(`mission ${id} has no task`)
  return task
}
