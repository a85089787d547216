import type { ClaimedTask, DeadLetter, Problem } from '@hypercode/contracts'
import { expect } from 'vitest'
import { crewOf, stillTest as test } from '../harness.ts'
import type { AgentCaller, Stage } from '../harness.ts'
import { expectInvariants } from '../invariants.ts'

const paused = { maxAttempts: 1, onExhausted: 'pause' }
const open = async (stage: Stage): Promise<DeadLetter[]> =>
  (await stage.operator.call<{ items: DeadLetter[] }>('GET', '/v1/dead-letters?open=true')).body.items
const audited = async (stage: Stage, action: string): Promise<{ actor: string; ref: string | null }[]> =>
  await stage.db.selectFrom('audit').select(['actor', 'ref']).where('action', '=', action).orderBy('id').execute()

/** Missions of these crews, each of whose tasks has failed with the name of its crew as the code. */
async function failed(stage: Stage, crews: readonly string[], retry: object = paused): Promise<AgentCaller> {
  const agent = await stage.agent(['work'])
  for (const crew of crews) await stage.submit(crewOf(crew, [{ id: 'a', retry }]), { from: crew })
  for (const task of await agent.claim()) await agent.fail(task, { code: task.crew })
  return agent
}

test('edited: a replay begins with the new input, and who changed it stands in the audit', async ({ stage }) => {
  const agent = await failed(stage, ['one'])
  const [letter] = (await open(stage)) as [DeadLetter]
  const path = `/v1/dead-letters/${letter.id}`
  const edited = await stage.operator.call<DeadLetter>('PATCH', path, { input: { from: 'a person' } })
  expect(edited).toMatchObject({ status: 200, body: { id: letter.id, input: { from: 'a person' } } })
  expect(edited.body.resolution).toBeUndefined()
  await stage.operator.call('POST', `${path}:replay`)
  const [again] = (await agent.claim()) as [ClaimedTask]
  expect(again).toMatchObject({ input: { from: 'a person' }, attempt: 2 })
  expect(await audited(stage, 'deadletter.edited')).toEqual([{ actor: stage.operator.subject, ref: letter.id }])
  expect((await stage.events(again.missionId)).map(({ type }) => type)).toContain('deadletter.edited')
  // What was replayed runs: it is too late for another input.
  const late = await stage.operator.call<Problem>('PATCH', path, { input: 1 })
  expect(late).toMatchObject({ status: 409, body: { detail: 'the dead letter was replayed' } })
  await expectInvariants(stage.db)
})

test('edited is only the input of a paused task, and only by its own tenant', async ({ stage, secondTenant }) => {
  await failed(stage, ['one'], { maxAttempts: 1 })
  const [letter] = (await open(stage)) as [DeadLetter]
  const path = `/v1/dead-letters/${letter.id}`
  expect((await stage.operator.call('PATCH', path, { input: 1 })).status).toBe(409)
  const stranger = await stage.as(secondTenant)
  expect((await stranger.call('PATCH', path, { input: 1 })).status).toBe(404)
  expect(await open(stage)).toHaveLength(1)
})
