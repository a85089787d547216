/** Operations as tests begin and watch them. */
import type { Operation, StartOperation } from '@hypercode/contracts'
import { waitFor } from '@hypercode/testkit'
import { expect } from 'vitest'
import { crewOf } from '../harness.ts'
import type { AgentCaller, Answer, Caller, Stage } from '../harness.ts'

export const order = async <T = Operation>(
  caller: Caller,
  body: Partial<StartOperation> | Record<string, unknown>,
  key?: string,
): Promise<Answer<T>> =>
  await caller.call<T>('POST', '/v1/operations', body, key === undefined ? {} : { 'idempotency-key': key })

export async function begin(
  stage: Stage,
  action: StartOperation['action'],
  filter: StartOperation['filter'],
  reason?: string,
): Promise<Operation> {
  const { status, body } = await order(stage.operator, { action, filter, ...(reason === undefined ? {} : { reason }) })
  expect(status, JSON.stringify(body)).toBe(202)
  return body
}

export const read = async (stage: Stage, id: string): Promise<Operation> =>
  (await stage.operator.call<Operation>('GET', `/v1/operations/${id}`)).body

/** Turns until the operation has ended. */
export async function carriedOut(stage: Stage, { id }: Operation, timeoutMs = 60_000): Promise<Operation> {
  return await waitFor(
    async () => {
      await stage.orchestrator.operations.turn()
      const operation = await read(stage, id)
      return operation.endedAt === undefined ? undefined : operation
    },
    { what: 'the operation to end', timeoutMs },
  )
}

/** Begins an operation and carries it out. */
export const doAll = async (...args: Parameters<typeof begin>): Promise<Operation> =>
  await carriedOut(args[0], await begin(...args))

/** Ids of missions of these crews with one task each, in order. */
export async function missionsOf(stage: Stage, crews: readonly string[], task: object = {}): Promise<string[]> {
  const ids: string[] = []
  for (const crew of crews) ids.push((await stage.submit(crewOf(crew, [{ id: 'a', ...task }]))).id)
  return ids
}

/** So many missions of a crew, in parts as large as the API takes. */
export async function manyMissions(stage: Stage, crew: string, count: number): Promise<void> {
  const mission = { manifest: crewOf(crew, [{ id: 'a' }]) }
  for (let left = count; left > 0; left -= 1000) {
    const missions = Array.from({ length: Math.min(left, 1000) }, () => mission)
    expect((await stage.operator.call('POST', '/v1/missions:batch', { missions })).status).toBe(200)
  }
}

/** Missions of these crews, each of whose tasks has failed with the name of its crew as the code. */
export async function failedMissions(stage: Stage, crews: readonly string[], retry: object): Promise<AgentCaller> {
  const agent = await stage.agent(['work'])
  await missionsOf(stage, crews, { retry })
  for (const task of await agent.claim({ max: 100 })) await agent.fail(task, { code: task.crew })
  return agent
}

export const PAUSED = { maxAttempts: 1, onExhausted: 'pause' }

/** What the audit holds of an operation, by what it was done to. */
export async function auditOf(
  stage: Stage,
  { id }: Operation,
): Promise<{ actor: string; action: string; ref: string }[]> {
  const rows = await stage.db.selectFrom('audit').select(['actor', 'action', 'ref', 'detail']).orderBy('ref').execute()
  return rows
    .filter(({ detail }) => detail['operation'] === `operation/${id}`)
    .map(({ actor, action, ref }) => ({ actor, action, ref: ref ?? '' }))
}

export const statesOf = async ({ db }: Stage): Promise<Record<string, number>> => {
  const rows = await db
    .selectFrom('missions')
    .select(({ fn }) => ['state', fn.countAll<number>().as('n')])
    .groupBy('state')
    .execute()
  return Object.fromEntries(rows.map(({ state, n }) => [state, n]))
}
