import type { Mission } from '@hypercode/contracts'
import { sql } from 'kysely'
import { describe, expect } from 'vitest'
import { stillTest as test, sweep } from '../harness.ts'
import type { Stage } from '../harness.ts'
import { expectInvariants } from '../invariants.ts'
import {
  asked,
  crew,
  decide,
  expectPausedBy,
  finish,
  letterOf,
  next,
  operate,
  post,
  resume,
  stateOf,
} from './pausing.ts'

describe('an approval', () => {
  const gated = crew([
    { id: 'a', input: 1, approval: { deadline: '1h' }, retry: { maxAttempts: 1 } },
    { id: 'b', dependsOn: ['a'] },
  ])
  const denied = async (stage: Stage): Promise<Mission> => {
    const mission = await stage.submit(gated)
    await decide(stage, await asked(stage, mission.id), 'reject', 'too dear')
    await expectPausedBy(stage, mission.id, 'approval_rejected', 'too dear')
    return mission
  }

  test('that is denied: a retry asks again, and nothing begins without a yes', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const { id } = await denied(stage)
    await resume(stage, id)
    expect(await agent.claim({ waitMs: 0 })).toEqual([])
    expect(await operate(stage, id, 'retry')).toBe(200)
    expect(await stateOf(stage, id)).toMatchObject({ a: 'input_required' })
    expect(await agent.claim({ waitMs: 0 })).toEqual([])
    await expectInvariants(stage.db)
    await decide(stage, await asked(stage, id), 'reject', 'still')
    await expectPausedBy(stage, id, 'approval_rejected', 'still')
    expect(await operate(stage, id, 'retry')).toBe(200)
    await decide(stage, await asked(stage, id), 'approve')
    await resume(stage, id)
    await finish(stage, agent, id)
  })

  test('that is denied: skipped, what waits for it goes on', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const { id } = await denied(stage)
    expect(await operate(stage, id, 'skip')).toBe(200)
    await resume(stage, id)
    await finish(stage, agent, id)
  })

  test('that is denied: who discards the dead letter lets the mission fail', async ({ stage }) => {
    const { id } = await denied(stage)
    expect((await post(stage, `/v1/dead-letters/${(await letterOf(stage, id)).id}:discard`)).status).toBe(200)
    expect(await stage.mission(id)).toMatchObject({ state: 'failed', error: { code: 'approval_rejected' } })
    await expectInvariants(stage.db)
  })

  test('that nobody gave in time: the task does not begin, and a replay has the whole time again', async ({
    stage,
  }) => {
    const agent = await stage.agent(['work'])
    const { id } = await stage.submit(gated)
    const first = await asked(stage, id)
    await sql`update approvals set deadline_at = now()`.execute(stage.db)
    await sql`update tasks set available_at = now() where state = 'input_required'`.execute(stage.db)
    await sweep(stage)
    await expectPausedBy(stage, id, 'approval_expired', 'nobody approved it by the deadline')
    expect((await post(stage, `/v1/dead-letters/${(await letterOf(stage, id)).id}:replay`)).status).toBe(200)
    const again = await asked(stage, id)
    expect(again.id).not.toBe(first.id)
    expect(Date.parse(again.deadlineAt ?? '')).toBeGreaterThan(Date.now() + 3_000_000)
    await resume(stage, id)
    expect(await agent.claim({ waitMs: 0 })).toEqual([])
    await decide(stage, again, 'approve')
    await finish(stage, agent, id)
  })

  test('is about what was shown: another input asks again, the same one does not', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const { id } = await stage.submit(gated)
    await decide(stage, await asked(stage, id), 'approve')
    await agent.fail(await next(agent))
    expect(await operate(stage, id, 'retry')).toBe(200)
    await resume(stage, id)
    await agent.fail(await next(agent))
    const path = `/v1/dead-letters/${(await letterOf(stage, id)).id}`
    expect((await stage.operator.call('PATCH', path, { input: 1000 })).status).toBe(200)
    expect((await post(stage, `${path}:replay`)).status).toBe(200)
    await resume(stage, id)
    expect(await agent.claim({ waitMs: 0 })).toEqual([])
    const other = await asked(stage, id)
    expect(other.data).toBe(1000)
    await decide(stage, other, 'reject')
    // What people have said last was no: what they approved before that does not count any more.
    const denied = `/v1/dead-letters/${(await letterOf(stage, id)).id}`
    expect((await stage.operator.call('PATCH', denied, { input: 1 })).status).toBe(200)
    expect((await post(stage, `${denied}:replay`)).status).toBe(200)
    await resume(stage, id)
    expect(await agent.claim({ waitMs: 0 })).toEqual([])
    const again = await asked(stage, id)
    expect(again.data).toBe(1)
    await decide(stage, again, 'approve')
    const task = await next(agent)
    expect(task.input).toBe(1)
    await agent.complete(task)
    await finish(stage, agent, id)
  })
})

describe('a verification', () => {
  const checked = (verify: object): object =>
    crew([
      { id: 'a', verify: { ...verify, maxRounds: 1 } },
      { id: 'b', dependsOn: ['a'] },
    ])

  test('whose rounds are used up: a retry has as many again', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const { id } = await stage.submit(checked({ kind: 'schema', schema: { type: 'number' } }))
    await agent.complete(await next(agent), 'no number')
    await expectPausedBy(stage, id, 'verification_failed', 'does not fit its schema')
    expect(await operate(stage, id, 'retry')).toBe(200)
    await resume(stage, id)
    await agent.complete(await next(agent), 7)
    await finish(stage, agent, id)
  })

  test('that people deny: skipped, what waits for it goes on', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const { id } = await stage.submit(checked({ kind: 'human' }))
    await agent.complete(await next(agent), 'draft')
    await decide(stage, await asked(stage, id), 'reject', 'not good')
    await expectPausedBy(stage, id, 'verification_failed', 'not good')
    expect(await operate(stage, id, 'skip')).toBe(200)
    await resume(stage, id)
    await finish(stage, agent, id)
  })
})
