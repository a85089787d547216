import { RetryableError } from '@hypercode/base-agent'
import type { TaskContext } from '@hypercode/base-agent'
import { describe, expect } from 'vitest'
import { agentOf, test } from './setup.ts'

describe('steps', () => {
  test('a recorded step is not run again by a later attempt', async ({ platform, start }) => {
    const runs: string[] = []
    const agent = agentOf(async (ctx) => {
      const plan = await ctx.step('plan', () => {
        runs.push(`plan in attempt ${ctx.attempt}`)
        return { at: new Date(0), files: ['a'] }
      })
      await ctx.step('tell', () => void runs.push(`tell in attempt ${ctx.attempt}`))
      if (ctx.attempt === 1) throw new RetryableError('crash after the plan')
      await ctx.step('edit', () => void runs.push(`edit in attempt ${ctx.attempt}`))
      return { text: `${plan.at} ${plan.files.join()}` }
    })
    await start(agent)
    const task = await platform.ended(platform.queue({ skill: 'work', input: { text: '' } }))
    expect(task).toMatchObject({ state: 'completed', attempt: 2, output: { text: '1970-01-01T00:00:00.000Z a' } })
    expect(runs).toEqual(['plan in attempt 1', 'tell in attempt 1', 'edit in attempt 2'])
    // Undefined is stored as null: a recorded step without a result is still a recorded step.
    expect(platform.task(task.id).steps.map(({ name, response }) => [name, response])).toEqual([
      ['plan', { at: '1970-01-01T00:00:00.000Z', files: ['a'] }],
      ['tell', null],
      ['edit', null],
    ])
  })

  test('the idempotency key is the same in every attempt', async ({ platform, start }) => {
    const keys: string[] = []
    const agent = agentOf(async (ctx) => {
      await ctx.step('pay', ({ idempotencyKey }) => {
        keys.push(idempotencyKey, ctx.idempotencyKey('pay'))
        if (ctx.attempt === 1) throw new Error('cut off in the middle')
      })
      return { text: '' }
    })
    await start(agent)
    const { id } = await platform.ended(platform.queue({ skill: 'work', input: { text: '' } }))
    expect(keys).toEqual(Array.from({ length: 4 }, () => `${id}:pay`))
  })

  test('what a step that is not recorded throws is what the attempt fails with', async ({ platform, start }) => {
    const agent = agentOf(async (ctx) => {
      await ctx.step('a', () => {
        throw new RetryableError('later', { code: 'model_busy' })
      })
      return { text: '' }
    })
    await start(agent)
    const task = await platform.ended(platform.queue({ skill: 'work', input: { text: '' }, maxAttempts: 1 }))
    expect(task.error).toEqual({ code: 'model_busy', message: 'later' })
  })

  test('a result whose answer was lost is recorded once, and the step goes on', async ({ platform, start }) => {
    let runs = 0
    const agent = agentOf(async (ctx) => ({ text: String(await ctx.step('a', () => (runs += 1))) }))
    platform.cutReplies('recordStep', 3)
    await start(agent)
    const task = await platform.ended(platform.queue({ skill: 'work', input: { text: '' } }))
    expect(task).toMatchObject({ state: 'completed', attempt: 1, output: { text: '1' } })
    expect(runs).toBe(1)
    expect(platform.received('recordStep')).toHaveLength(4)
    expect(platform.task(task.id).steps).toHaveLength(1)
  })

  const faults: [string, string, (ctx: TaskContext) => Promise<unknown>][] = [
    [
      'a name that was used before',
      'step_repeated',
      async (ctx) => [await ctx.step('a', () => 1), await ctx.step('a', () => 1)],
    ],
    ['a name that cannot be one', 'step_invalid', (ctx) => ctx.step('plan: b', () => 1)],
    ['an empty name', 'step_invalid', (ctx) => ctx.step('', () => 1)],
    ['a result that is not JSON', 'step_invalid', (ctx) => ctx.step('a', () => 1n)],
    [
      'a result that is a ring',
      'step_invalid',
      (ctx) =>
        ctx.step('a', () => {
          const ring: unknown[] = []
          ring.push(ring)
          return ring
        }),
    ],
    ['a result that cannot be stored', 'text_invalid', (ctx) => ctx.step('a', () => 'a\0b')],
  ]
  test.for(faults)('%s is a mistake that no retry can help', async ([, code, use], { platform, start }) => {
    await start(
      agentOf(async (ctx) => {
        await use(ctx)
        return { text: '' }
      }),
    )
    const task = await platform.ended(platform.queue({ skill: 'work', input: { text: '' } }))
    expect(task).toMatchObject({ state: 'failed', attempt: 1, error: { code } })
  })

  test('another request under the same name is a mistake, the same one in another order is not', async ({
    platform,
    start,
  }) => {
    const agent = agentOf(async (ctx, { text }) => {
      const requests = {
        same: [
          { a: 1, b: [2] },
          { b: [2], a: 1 },
        ],
        other: [{ a: 1 }, { a: 2 }],
      }
      const request = requests[text as keyof typeof requests][ctx.attempt - 1]
      await ctx.step('a', () => 1, { request })
      if (ctx.attempt === 1) throw new RetryableError('again')
      return { text }
    })
    await start(agent, { slots: 2 })
    const [same, other] = await Promise.all(
      ['same', 'other'].map((text) => platform.ended(platform.queue({ skill: 'work', input: { text } }))),
    )
    expect(same).toMatchObject({ state: 'completed', attempt: 2 })
    expect(other).toMatchObject({ state: 'failed', attempt: 2, error: { code: 'step_mismatch' } })
  })

  test('steps that run side by side are recorded under their own names', async ({ platform, start }) => {
    const agent = agentOf(async (ctx) => {
      const parts = await Promise.all([1, 2, 3, 4].map((n) => ctx.step(`part[${n}]`, () => n * n)))
      return { text: parts.join() }
    })
    await start(agent)
    const task = await platform.ended(platform.queue({ skill: 'work', input: { text: '' } }))
    expect(task.output).toEqual({ text: '1,4,9,16' })
    expect(platform.task(task.id).steps).toHaveLength(4)
  })
})
