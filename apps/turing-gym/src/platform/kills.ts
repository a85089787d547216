import type { HyperClient } from '@hypercode/client'
import { ROUTES } from '@hypercode/contracts'
import type { CloudEvent } from '@hypercode/contracts'
import type { KillFault } from '../domain/sample-mission.ts'
import { livePool } from './pool.ts'
import type { PoolBounds } from './pool.ts'

/** Decides, event by event, when the agent is to be killed. */
export interface KillPlan {
  /** The faults whose time has come with this event. */
  next(event: CloudEvent): readonly string[]
}

/**
 * `start` is every claim of the task, `step:n` its n-th recorded step; `times` more than one goes on with the claims, or the steps, after
 * it. A step that a resumed agent finds recorded is not recorded again, so it counts once.
 */
export function createKillPlan(kills: readonly KillFault[]): KillPlan {
  const left = kills.map((kill) => ({ ...kill, times: kill.times ?? 1 }))
  let steps = 0
  return {
    next(event) {
      const isClaim = event.type === 'hypercode.task.claimed.v1'
      const isStep = event.type === 'hypercode.task.step.recorded.v1'
      if (isStep) steps += 1
      const due = left.filter(
        ({ at, times }) =>
          times > 0 && (at === 'start' ? isClaim : isStep && steps >= Number(at.slice('step:'.length))),
      )
      for (const kill of due) kill.times -= 1
      return due.map(({ at }) => `kill agent at ${at}`)
    },
  }
}

/** Follows a mission to its end and kills the instance that executes it where the plan says so. Answers what was really done. */
export async function injectKills(
  client: HyperClient,
  missionId: string,
  pool: string,
  kills: readonly KillFault[],
  bounds: PoolBounds,
): Promise<string[]> {
  const plan = createKillPlan(kills)
  const done: string[] = []
  let agentInstanceId: unknown
  const events = client.stream(ROUTES.watchMission, {
    params: { id: missionId },
    query: { cursor: 0 },
    signal: bounds.signal,
  })
  for await (const event of events) {
    if (event.type === 'hypercode.task.claimed.v1') agentInstanceId = event.data['agentInstanceId']
    const due = plan.next(event)
    if (due.length > 0 && (await kill(client, pool, agentInstanceId, bounds))) done.push(...due)
  }
  return done
}

/** False when the agent is not there any more. */
async function kill(client: HyperClient, pool: string, agentInstanceId: unknown, bounds: PoolBounds): Promise<boolean> {
  const target = (await livePool(client, pool, bounds)).find((one) => one.agentInstanceId === agentInstanceId)
  if (target === undefined) return false
  await client.call(ROUTES.restartInstance, { params: { id: target.id }, body: { kill: true }, signal: bounds.signal })
  return true
}
