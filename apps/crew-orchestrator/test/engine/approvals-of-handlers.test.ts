import { describe, expect } from 'vitest'
import { stillTest as test, sweep } from '../harness.ts'
import { expectInvariants } from '../invariants.ts'
import { asking, decide, one, pass, stateOf } from './approving.ts'

describe('an approval that a handler asks for', () => {
  test('frees the slot, and its result is what the handler finds when it runs again', async ({ stage, replica }) => {
    const { agent, mission, asked } = await asking(stage)
    expect(await stateOf(stage, mission)).toMatchObject({ state: 'input_required', attempt: 1, maxAttempts: 4 })
    expect(asked).toMatchObject({ wait: 'pay', title: 'Pay?', data: { amount: 5 } })
    // Another process decides: nothing of it is in memory.
    expect((await decide(replica.operator, asked, 'approve', { comment: 'ok' })).body.state).toBe('approved')
    const again = await one(agent)
    expect(again).toMatchObject({ attempt: 2 })
    expect(again.steps).toEqual([
      {
        name: 'wait:pay',
        response: {
          approvalId: asked.id,
          approved: true,
          data: { amount: 5 },
          by: [replica.operator.subject],
          comment: 'ok',
          timedOut: false,
        },
      },
    ])
    await agent.complete(again)
    await expectInvariants(stage.db)
  })

  test('rejected, or not decided in time: the handler is told and goes on', async ({ stage }) => {
    const { agent, asked } = await asking(stage)
    await decide(stage.operator, asked, 'reject', { comment: 'no' })
    const denied = await one(agent)
    expect(denied.steps[0]?.response).toMatchObject({ approved: false, comment: 'no', timedOut: false })
    await agent.complete(denied)
    const { agent: second } = await asking(stage, { deadlineMs: 3_600_000 })
    await pass(stage, 3601)
    await sweep(stage)
    expect((await one(second)).steps[0]?.response).toMatchObject({ approved: false, by: [], timedOut: true })
    await expectInvariants(stage.db)
  })

  test('with terms that nobody can fulfil fails the task', async ({ stage }) => {
    const { mission, answer } = await asking(stage, { approvers: ['x'], quorum: 2 })
    expect(answer.body.results[0]?.state).toBe('failed')
    expect(await stateOf(stage, mission)).toMatchObject({ error: { code: 'approval_invalid' } })
    await expectInvariants(stage.db)
  })
})
