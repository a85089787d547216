import type { ClaimedTask, DeadLetter, DeadLettersResolved, Problem } from '@hypercode/contracts'
import { expect } from 'vitest'
import { STILL, crewOf, test } from '../harness.ts'
import type { AgentCaller, Stage } from '../harness.ts'
import { expectInvariants } from '../invariants.ts'

test.override({ settings: STILL })

const paused = { maxAttempts: 1, onExhausted: 'pause' }
const open = async (stage: Stage): Promise<DeadLetter[]> =>
  (await stage.operator.call<{ items: DeadLetter[] }>('GET', '/v1/dead-letters?open=true')).body.items
const all = async (stage: Stage, what: 'replay' | 'discard', filter: object): Promise<DeadLettersResolved> =>
  (await stage.operator.call<DeadLettersResolved>('POST', `/v1/dead-letters:${what}`, filter)).body
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
  expect((await stranger.call<DeadLettersResolved>('POST', '/v1/dead-letters:discard', {})).body.resolved).toBe(0)
  expect(await open(stage)).toHaveLength(1)
})

test('replayed by filter: what fits goes on, each of them audited, and the rest stays', async ({ stage }) => {
  const agent = await failed(stage, ['one', 'two', 'two', 'three'])
  expect(await all(stage, 'replay', { crew: 'two' })).toEqual({ resolved: 2, skipped: 0, more: false })
  expect((await agent.claim()).map(({ crew, attempt }) => [crew, attempt])).toEqual([
    ['two', 2],
    ['two', 2],
  ])
  expect(await all(stage, 'replay', { code: 'three', createdBefore: '2001-01-01T00:00:00Z' })).toMatchObject({
    resolved: 0,
  })
  expect(await all(stage, 'replay', { code: 'three', key: 'a' })).toMatchObject({ resolved: 1 })
  expect((await open(stage)).map(({ error }) => error.code)).toEqual(['one'])
  expect(await audited(stage, 'deadletter.replayed')).toHaveLength(3)
  await expectInvariants(stage.db)
})

test('a filter takes so many at a time and says that there are more', async ({ stage }) => {
  await failed(stage, ['one', 'two', 'three'])
  expect(await all(stage, 'discard', { limit: 2 })).toEqual({ resolved: 2, skipped: 0, more: true })
  expect((await open(stage)).map(({ error }) => error.code)).toEqual(['three'])
  expect(await all(stage, 'discard', { limit: 2 })).toEqual({ resolved: 1, skipped: 0, more: false })
  expect((await audited(stage, 'deadletter.discarded')).map(({ actor }) => actor)).toEqual(
    Array.from({ length: 3 }, () => stage.operator.subject),
  )
  await expectInvariants(stage.db)
})

test('two people with the same filter resolve each letter once', async ({ stage }) => {
  await failed(stage, ['one', 'two', 'three', 'four'])
  const [a, b] = await Promise.all([all(stage, 'replay', {}), all(stage, 'replay', {})])
  expect(a.resolved + b.resolved).toBe(4)
  expect(await audited(stage, 'deadletter.replayed')).toHaveLength(4)
  await expectInvariants(stage.db)
})
