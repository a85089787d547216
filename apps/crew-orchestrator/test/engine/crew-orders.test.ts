import type { ClaimedTask, CrewOrderAnswer, Mission } from '@hypercode/contracts'
import { expect } from 'vitest'
import { crewOf, stillTest as test } from '../harness.ts'
import type { Caller, Stage } from '../harness.ts'
import { expectInvariants } from '../invariants.ts'

const order = async (caller: Caller, what: 'broadcast' | 'disband', body: object, key?: string) =>
  await caller.call<CrewOrderAnswer>(
    'POST',
    `/v1/crews/team:${what}`,
    body,
    key === undefined ? {} : { 'idempotency-key': key },
  )

/** Missions of the crew `team` whose task waits for the signal `go`, and one of another crew. */
async function waiting(stage: Stage, count: number): Promise<{ team: Mission[]; other: Mission }> {
  const agent = await stage.agent(['work'])
  const team: Mission[] = []
  for (let index = 0; index < count; index += 1) team.push(await stage.submit(crewOf('team', [{ id: 'a' }])))
  const other = await stage.submit(crewOf('other', [{ id: 'a' }]))
  for (const { taskId } of await agent.claim({ max: 100 }))
    await agent.report({ taskId, attempt: 1, outcome: 'waiting', wait: { kind: 'signal', name: 'w', signal: 'go' } })
  return { team, other }
}

test('a broadcast wakes what waits in every open mission of the crew, once per key', async ({
  stage,
  secondTenant,
}) => {
  const { team } = await waiting(stage, 3)
  const stranger = await stage.as(secondTenant)
  expect((await order(stranger, 'broadcast', { name: 'go' })).body).toMatchObject({ done: 0, more: false })
  expect(await order(stage.operator, 'broadcast', { name: 'go', payload: 7 }, 'k')).toMatchObject({
    status: 200,
    body: { done: 3, skipped: 0, last: team[2]?.id, more: false },
  })
  await order(stage.operator, 'broadcast', { name: 'go', payload: 7 }, 'k')
  const agent = await stage.agent(['work'])
  const woken = await agent.claim({ max: 100 })
  expect(woken.map(({ missionId }) => missionId).toSorted()).toEqual(team.map(({ id }) => id).toSorted())
  expect(woken[0]?.steps[0]).toMatchObject({ response: { payload: 7 } })
  for (const { id } of team)
    expect((await stage.events(id)).filter(({ type }) => type === 'mission.signaled')).toHaveLength(1)
  const other = await order(stage.operator, 'broadcast', { name: 'go', payload: 8 }, 'k')
  expect(other).toMatchObject({ status: 422, body: { code: 'idempotency_mismatch' } })
  await expectInvariants(stage.db)
})

test('a disband cancels every open mission of the crew, a part at a time', async ({ stage }) => {
  const { team, other } = await waiting(stage, 3)
  const first = await order(stage.operator, 'disband', { limit: 2, reason: 'enough' })
  expect(first.body).toMatchObject({ done: 2, more: true, last: team[1]?.id })
  expect((await order(stage.operator, 'disband', { after: first.body.last })).body).toMatchObject({
    done: 1,
    more: false,
  })
  for (const { id } of team) expect((await stage.mission(id)).state).toBe('canceled')
  expect((await stage.mission(other.id)).state).toBe('running')
  const audit = await stage.db
    .selectFrom('audit')
    .select('detail')
    .where('action', '=', 'mission.cancel_requested')
    .execute()
  expect(audit.map(({ detail }) => detail)).toEqual(
    Array.from({ length: 3 }, (_, n) => ({ reason: n < 2 ? 'enough' : 'crew team is disbanded' })),
  )
  await expectInvariants(stage.db)
})

test('only missions of one version are meant when one is named', async ({ stage }) => {
  for (const id of ['a', 'b']) await stage.operator.call('POST', '/v1/crews', crewOf('team', [{ id }]))
  for (const version of [1, 2]) await stage.operator.call('POST', '/v1/missions', { crew: `team@${version}` })
  expect((await order(stage.operator, 'disband', { version: 1 })).body.done).toBe(1)
  const agent = await stage.agent(['work'])
  expect((await agent.claim()).map(({ key }: ClaimedTask) => key)).toEqual(['b'])
})
