import { AttemptStopped } from '@hypercode/base-agent'
import type { TaskContext } from '@hypercode/base-agent'
import { runTask } from '@hypercode/base-agent/testing'
import { describe, expect } from 'vitest'
import { agentOf, test } from './setup.ts'

const input = { skill: 'work', input: { text: '' } }

describe('waits', () => {
  test('end the attempt and free the slot; the handler that runs again goes on behind them', async ({
    platform,
    start,
  }) => {
    const runs: string[] = []
    const agent = agentOf(async (ctx, { text }) => {
      if (text === 'other') return { text }
      await ctx.step('before', () => void runs.push('before'))
      await ctx.sleep('nap', 200)
      runs.push(`behind in attempt ${ctx.attempt}`)
      const answer = await ctx.waitForSignal('go')
      return { text: answer.timedOut ? 'nobody' : String(answer.payload) }
    })
    await start(agent)
    const id = platform.queue({ ...input, maxAttempts: 1 })
    await platform.until('the nap', () => platform.task(id).state === 'waiting')
    const other = await platform.ended(platform.queue({ skill: 'work', input: { text: 'other' } }))
    expect(other.state).toBe('completed')
    await platform.until('the wait for the signal', () => platform.task(id).wait?.order.kind === 'signal')
    platform.signal(id, 'go', 'now')
    expect(await platform.ended(id)).toMatchObject({ state: 'completed', output: { text: 'now' } })
    expect(runs).toEqual(['before', 'behind in attempt 2', 'behind in attempt 3'])
    expect(platform.task(id).attempts.map(({ outcome }) => outcome)).toEqual(['waiting', 'waiting', 'completed'])
  })

  test('a signal that does not come in time is told as that; one that came before is not lost', async ({
    platform,
    start,
  }) => {
    const agent = agentOf(async (ctx) => {
      const first = await ctx.waitForSignal('first', { signal: 'go', timeoutMs: 50 })
      const second = await ctx.waitForSignal('second', { timeoutMs: 60_000 })
      return { text: JSON.stringify([first, second]) }
    })
    const id = platform.queue(input)
    platform.signal(id, 'second', 2)
    await start(agent)
    const { output } = await platform.ended(id)
    expect(JSON.parse((output as { text: string }).text)).toEqual([{ timedOut: true }, { timedOut: false, payload: 2 }])
  })

  test('a handler that swallows what it is thrown waits all the same, and begins nothing more', async ({
    platform,
    start,
  }) => {
    const runs: string[] = []
    const agent = agentOf(async (ctx) => {
      try {
        await ctx.sleep('nap', 50)
      } catch (error) {
        runs.push(error instanceof AttemptStopped ? error.reason : 'something else')
        await ctx.step('after', () => runs.push('must not run')).catch(() => runs.push('refused'))
      }
      return { text: String(ctx.attempt) }
    })
    await start(agent)
    expect((await platform.ended(platform.queue(input))).output).toEqual({ text: '2' })
    expect(runs).toEqual(['suspended', 'refused'])
  })

  const faults: [string, string, (ctx: TaskContext) => Promise<unknown>][] = [
    ['a name that cannot be one', 'wait_invalid', async (ctx) => await ctx.sleep('a: b', 0)],
    ['a time before now', 'wait_invalid', async (ctx) => await ctx.sleep('a', -1)],
    ['a time that is none', 'wait_invalid', async (ctx) => await ctx.waitForSignal('a', { timeoutMs: Number.NaN })],
  ]
  test.for(faults)('%s is a mistake that no retry can help', async ([, code, use], { platform, start }) => {
    await start(
      agentOf(async (ctx) => {
        await use(ctx)
        return { text: '' }
      }),
    )
    expect(await platform.ended(platform.queue(input))).toMatchObject({ state: 'failed', attempt: 1, error: { code } })
  })

  test('the same wait twice is a mistake', async ({ platform, start }) => {
    await start(
      agentOf(async (ctx) => {
        await ctx.sleep('a', 0)
        await ctx.sleep('a', 0)
        return { text: '' }
      }),
    )
    expect(await platform.ended(platform.queue(input))).toMatchObject({
      state: 'failed',
      error: { code: 'wait_repeated' },
    })
  })

  test('people are asked and decide; what they made of the data comes back', async ({ platform, start }) => {
    await start(
      agentOf(async (ctx) => {
        const data = { amount: 5, at: new Date(0) }
        const first = await ctx.approval('first', { title: 'Pay?', data, deadlineMs: 1000, quorum: 1 })
        const second = await ctx.approval('second', { title: 'Really?' })
        return { text: JSON.stringify([first.approved, first.data, second.approved, second.comment]) }
      }),
    )
    const id = platform.queue(input)
    await platform.until('the first question', () => platform.task(id).state === 'input_required')
    expect(platform.task(id).wait?.order).toEqual({
      kind: 'approval',
      name: 'first',
      title: 'Pay?',
      data: { amount: 5, at: '1970-01-01T00:00:00.000Z' },
      deadlineMs: 1000,
      quorum: 1,
    })
    platform.decide(id, { approved: true, data: { amount: 4 } })
    await platform.until('the second question', () => platform.task(id).wait?.order.name === 'second')
    platform.decide(id, { approved: false, comment: 'no' })
    const { output } = await platform.ended(id)
    expect(JSON.parse((output as { text: string }).text)).toEqual([true, { amount: 4 }, false, 'no'])
  })

  test('a task that is run without a platform is told how its waits have ended', async () => {
    const agent = agentOf(async (ctx) => {
      await ctx.sleep('nap', 1000)
      const answer = await ctx.waitForSignal('go')
      return { text: answer.timedOut ? 'nobody' : String(answer.payload) }
    })
    const waits = { nap: {}, go: { timedOut: false, payload: 'now' } }
    expect((await runTask(agent, { text: '' }, { waits })).output).toEqual({ text: 'now' })
    await expect(runTask(agent, { text: '' })).rejects.toMatchObject({ reason: 'suspended' })
  })
})
