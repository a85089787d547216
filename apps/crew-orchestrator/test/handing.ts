/** What tests of hand-overs look at. */
import { newId } from '@hypercode/contracts'
import type { ClaimedTask } from '@hypercode/contracts'
import { waitFor } from '@hypercode/testkit'
import { sql } from 'kysely'
import { expect } from 'vitest'
import { crewOf } from './crew-of.ts'
import type { AgentCaller, Stage } from './harness.ts'

export const PATIENT_MS = 20_000

/** A claim that waits at the desk, where nothing stands in the way of lending it. */
export async function waiting(
  stage: Stage,
  agent: AgentCaller,
  options: Parameters<AgentCaller['claim']>[0] = {},
): Promise<{ answer: Promise<ClaimedTask[]> }> {
  const { desk } = stage.orchestrator.engine
  const before = desk.waiting
  const answer = agent.claim({ waitMs: PATIENT_MS, ...options })
  await waitFor(() => desk.waiting === before + 1, { what: 'a waiting claim' })
  // Of one group all are served together: when this has its answer, the other one was looked for too.
  expect(await agent.claim({ ...options, waitMs: 0, claimId: newId() })).toEqual([])
  return { answer }
}

/** By key of the tasks that were claimed: whether that was committed together with queueing them. */
export async function handedOver(stage: Stage, missionId: string): Promise<Record<string, boolean>> {
  const { rows } = await sql<{ key: string; together: boolean }>`
    select t.key, q.xmin::text = c.xmin::text as together from tasks t
    join mission_events q on q.mission_id = t.mission_id and q.task_id = t.id and q.type = 'task.queued'
    join mission_events c on c.mission_id = t.mission_id and c.task_id = t.id and c.type = 'task.claimed'
    where t.mission_id = ${missionId}`.execute(stage.db)
  return Object.fromEntries(rows.map(({ key, together }) => [key, together]))
}

export const SINGLE = crewOf('single', [{ id: 'only' }])

export const told = async (stage: Stage, missionId: string): Promise<string[]> =>
  (await stage.events(missionId)).map(({ seq, type }, index) => {
    expect(seq).toBe(index + 1)
    return type
  })

export const stateOf = async (stage: Stage, missionId: string): Promise<string[]> =>
  (await stage.tasks(missionId)).map(({ state }) => state)
