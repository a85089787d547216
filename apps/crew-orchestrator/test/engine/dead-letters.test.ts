import { newId } from '@hypercode/contracts'
import type { ClaimedTask, DeadLetter, Problem } from '@hypercode/contracts'
import { describe, expect } from 'vitest'
import { crewOf, stillTest as test } from '../harness.ts'
import type { AgentCaller, Stage } from '../harness.ts'
import { expectInvariants, expectNoDeadlocks } from '../invariants.ts'

const list = async (stage: Stage, query = ''): Promise<{ items: DeadLetter[]; nextCursor?: string }> =>
  (await stage.operator.call<{ items: DeadLetter[]; nextCursor?: string }>('GET', `/v1/dead-letters${query}`)).body
/** What is told of letters in a mission, and by whom it was done. */
const toldOf = async (stage: Stage, { missionId }: DeadLetter): Promise<string[]> =>
  (await stage.events(missionId)).map(({ type }) => type).filter((type) => type.startsWith('deadletter.'))
const auditOf = async (stage: Stage, { id }: DeadLetter) =>
  await stage.db.selectFrom('audit').select(['actor', 'action']).where('ref', '=', id).execute()
const act = async (stage: Stage, id: string, what: 'replay' | 'discard') =>
  await stage.operator.call<DeadLetter & Problem>('POST', `/v1/dead-letters/${id}:${what}`)

/** A mission of two tasks whose first one has used up its attempts. */
async function exhausted(
  stage: Stage,
  retry: Record<string, unknown> = { maxAttempts: 1, onExhausted: 'pause' },
): Promise<{ agent: AgentCaller; letter: DeadLetter }> {
  const agent = await stage.agent(['work'])
  const mission = await stage.submit(
    crewOf('x', [
      { id: 'a', retry },
      { id: 'b', dependsOn: ['a'] },
    ]),
  )
  const task = (await agent.claim()).find((one) => one.missionId === mission.id) as ClaimedTask
  await agent.fail(task, { code: 'first' })
  const { items } = await list(stage, `?missionId=${mission.id}&open=true`)
  expect(items).toHaveLength(1)
  return { agent, letter: items[0] as DeadLetter }
}

describe('a dead letter', () => {
  test('tells what happened, attempt by attempt', async ({ stage }) => {
    const { agent, letter } = await exhausted(stage)
    expect(letter).toMatchObject({
      key: 'a',
      error: { code: 'first', message: 'it broke' },
      attempts: [{ attempt: 1, outcome: 'failed', agentInstanceId: agent.instanceId, error: { code: 'first' } }],
    })
    expect((await stage.operator.call('GET', `/v1/dead-letters/${letter.id}`)).body).toEqual({ ...letter, input: null })
    await expectInvariants(stage.db)
  })

  test('replayed: the task has a fresh set of attempts, and the mission goes on', async ({ stage }) => {
    const { agent, letter } = await exhausted(stage)
    expect(await act(stage, letter.id, 'replay')).toMatchObject({
      status: 200,
      body: { resolution: 'replayed', resolvedBy: stage.operator.subject, resolvedAt: expect.any(String) },
    })
    expect((await list(stage, '?open=true')).items).toEqual([])
    expect(await toldOf(stage, letter)).toEqual(['deadletter.added', 'deadletter.replayed'])
    expect(await auditOf(stage, letter)).toEqual([{ actor: stage.operator.subject, action: 'deadletter.replayed' }])
    const [again] = (await agent.claim()) as [ClaimedTask]
    expect(again).toMatchObject({ key: 'a', attempt: 2, maxAttempts: 2 })
    await agent.complete(again)
    const [next] = (await agent.claim()) as [ClaimedTask]
    await agent.complete(next)
    expect((await stage.mission(letter.missionId)).state).toBe('completed')
    await expectInvariants(stage.db)
  })

  test('replayed in vain becomes another letter, with every attempt so far', async ({ stage }) => {
    const { agent, letter } = await exhausted(stage)
    await act(stage, letter.id, 'replay')
    const [again] = (await agent.claim()) as [ClaimedTask]
    await agent.fail(again, { code: 'second' })
    const [second] = (await list(stage, '?open=true')).items as [DeadLetter]
    expect(second.id).not.toBe(letter.id)
    expect(second.attempts.map((attempt) => attempt.error?.code)).toEqual(['first', 'second'])
    await expectInvariants(stage.db)
  })

  test('discarded: the task fails, with all that follows', async ({ stage }) => {
    const { letter } = await exhausted(stage)
    expect((await act(stage, letter.id, 'discard')).body.resolution).toBe('discarded')
    expect(await toldOf(stage, letter)).toEqual(['deadletter.added', 'deadletter.discarded'])
    expect(await auditOf(stage, letter)).toEqual([{ actor: stage.operator.subject, action: 'deadletter.discarded' }])
    expect(await stage.mission(letter.missionId)).toMatchObject({ state: 'failed', error: { code: 'first' } })
    expect((await stage.tasks(letter.missionId)).map((task) => task.state)).toEqual(['failed', 'canceled'])
    await expectInvariants(stage.db)
  })

  test('is resolved once, however many try', async ({ stage, replica }) => {
    for (const other of ['replay', 'discard'] as const) {
      const { letter } = await exhausted(stage)
      const answers = await Promise.all(
        Array.from({ length: 10 }, (_, index) =>
          act(index % 2 === 0 ? stage : replica, letter.id, index < 5 ? 'replay' : other),
        ),
      )
      expect(answers.filter((answer) => answer.status === 200)).toHaveLength(1)
      for (const { status, body } of answers) if (status !== 200) expect([status, body.code]).toEqual([409, 'conflict'])
    }
    await expectInvariants(stage.db)
  })

  test('and the agent that does its task again, at once: nobody waits for the other in a circle', async ({
    stage,
    replica,
  }) => {
    const agent = await stage.agent(['work'], { slots: 100 })
    const forEach = Array.from({ length: 40 }, (_, index) => index)
    const retry = { maxAttempts: 1, onExhausted: 'pause' }
    const mission = await stage.submit(crewOf('x', [{ id: 'a', forEach, retry }]))
    await Promise.all((await agent.claim({ max: 100 })).map(async (task) => await agent.fail(task)))
    const { items } = await list(stage, '?limit=100')
    const replays = items.map(async ({ id }, index) => await act(index % 2 === 0 ? stage : replica, id, 'replay'))
    expect(new Set((await Promise.all(replays)).map(({ status }) => status))).toEqual(new Set([200]))
    const again = await agent.claim({ max: 100 })
    expect(again).toHaveLength(40)
    // Too late: but who asks locks the tasks that are being reported.
    const [reported, discarded] = await Promise.all([
      Promise.all(again.map(async (task) => (await agent.complete(task)).status)),
      Promise.all(
        items.map(async ({ id }, index) => (await act(index % 2 === 0 ? stage : replica, id, 'discard')).status),
      ),
    ])
    expect([new Set(reported), new Set(discarded)]).toEqual([new Set([200]), new Set([409])])
    expect((await stage.mission(mission.id)).state).toBe('completed')
    await expectInvariants(stage.db)
    await expectNoDeadlocks(stage.db)
  })

  test('of a task that has failed for good can be discarded, not replayed', async ({ stage }) => {
    const { letter } = await exhausted(stage, { maxAttempts: 1 })
    expect(await act(stage, letter.id, 'replay')).toMatchObject({
      status: 409,
      body: { code: 'conflict', detail: 'the task is failed', fix: expect.stringContaining('onExhausted: pause') },
    })
    expect((await act(stage, letter.id, 'discard')).status).toBe(200)
    expect((await stage.mission(letter.missionId)).state).toBe('failed')
    await expectInvariants(stage.db)
  })

  test('of a mission that was canceled meanwhile cannot be replayed', async ({ stage }) => {
    const { letter } = await exhausted(stage)
    await stage.operator.call('POST', `/v1/missions/${letter.missionId}:cancel`)
    expect(await act(stage, letter.id, 'replay')).toMatchObject({
      status: 409,
      body: { detail: 'the task is canceled' },
    })
    expect((await act(stage, letter.id, 'discard')).status).toBe(200)
    expect((await stage.mission(letter.missionId)).state).toBe('canceled')
    await expectInvariants(stage.db)
  })
})

test('letters are listed newest first, page by page, by mission, and only for those who may', async ({
  stage,
  tenant,
  secondTenant,
}) => {
  const ids: string[] = []
  for (let index = 0; index < 5; index += 1) ids.unshift((await exhausted(stage)).letter.id)
  await act(stage, ids[0] as string, 'discard')
  const first = await list(stage, '?limit=2')
  const second = await list(stage, `?limit=2&cursor=${first.nextCursor}`)
  const third = await list(stage, `?limit=2&cursor=${second.nextCursor}`)
  expect([first, second, third].flatMap((page) => page.items.map((letter) => letter.id))).toEqual(ids)
  expect(third).not.toHaveProperty('nextCursor')
  expect((await list(stage, '?open=true')).items.map((letter) => letter.id)).toEqual(ids.slice(1))
  const stranger = await stage.as(secondTenant)
  expect((await stranger.call('GET', '/v1/dead-letters')).body).toEqual({ items: [] })
  for (const path of [`/v1/dead-letters/${ids[1]}`, `/v1/dead-letters/${newId()}`])
    expect(await stranger.call('GET', path)).toMatchObject({ status: 404, body: { code: 'not_found' } })
  for (const what of ['replay', 'discard'])
    expect((await stranger.call('POST', `/v1/dead-letters/${ids[1]}:${what}`)).status).toBe(404)
  const reader = await stage.as(tenant, ['mission:read'])
  expect(await reader.call('GET', '/v1/dead-letters')).toMatchObject({
    status: 403,
    body: { code: 'insufficient_scope' },
  })
})

test('what failed, is paused, is given up or waits for a further attempt holds up no other mission', async ({
  stage,
}) => {
  const { agent, letter: paused } = await exhausted(stage)
  const { letter: discarded } = await exhausted(stage)
  await act(stage, discarded.id, 'discard')
  await exhausted(stage, { maxAttempts: 1 })
  const late = await stage.submit(crewOf('late', [{ id: 'a', retry: { initialInterval: '1h' } }]))
  await agent.fail(((await agent.claim({ max: 1 })) as [ClaimedTask])[0])
  const next = await stage.submit(crewOf('next', [{ id: 'a' }]))
  const [task, ...more] = (await agent.claim()) as [ClaimedTask]
  expect([task.missionId, more]).toEqual([next.id, []])
  await agent.complete(task)
  expect((await stage.mission(next.id)).state).toBe('completed')
  // And the others are what they were.
  expect((await stage.tasks(late.id)).map(({ state }) => state)).toEqual(['scheduled'])
  expect((await stage.tasks(paused.missionId)).map(({ state }) => state)).toEqual(['paused', 'blocked'])
  await expectInvariants(stage.db)
})
