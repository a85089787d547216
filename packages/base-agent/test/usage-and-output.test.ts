import { setTimeout as sleep } from 'node:timers/promises'
import { RejectedError, RetryableError } from '@hypercode/base-agent'
import type { ModelUsage } from '@hypercode/base-agent'
import { runTask } from '@hypercode/base-agent/testing'
import { describe, expect } from 'vitest'
import { agentOf, test } from './setup.ts'

const call = (inputTokens: number, more: Partial<ModelUsage> = {}): ModelUsage => ({
  model: 'small',
  inputTokens,
  outputTokens: 1,
  usd: 0.5,
  ...more,
})
const input = { text: '' }

describe('usage', () => {
  // Goal: the cost of a task is right, whatever is repeated: reports without an answer, steps, whole attempts.
  test('is counted once per call, through lost answers and further attempts', async ({ platform, start }) => {
    platform.cutReplies('recordUsage', 2)
    const agent = agentOf(async (ctx) => {
      await ctx.usage(call(1))
      await ctx.step('plan', async () => {
        await ctx.usage(call(10))
        await ctx.usage(call(100))
      })
      if (ctx.attempt === 1) throw new RetryableError('crash after the plan')
      await Promise.all(['a', 'b'].map((name) => ctx.step(name, () => ctx.usage(call(1000, { model: name })))))
      await ctx.usage(call(7))
      await ctx.usage(call(5, { key: 'mine' }))
      return input
    })
    await start(agent)
    const { id, attempt } = await platform.ended(platform.queue({ skill: 'work', input }))
    expect(attempt).toBe(2)
    const counted = [...platform.task(id).usage].map(([key, { inputTokens }]) => [key, inputTokens])
    expect(Object.fromEntries(counted)).toEqual({
      ':1': 1,
      plan: 10,
      'plan:2': 100,
      a: 1000,
      b: 1000,
      ':2': 7,
      mine: 5,
    })
    expect(platform.task(id).usage.get('b')).toEqual({ ...call(1000, { model: 'b' }), key: 'b' })
  })

  test('of a step with a name as long as it may be has a key that fits', async ({ platform, start }) => {
    const agent = agentOf(async (ctx) => {
      await ctx.step('x'.repeat(200), async () => {
        for (let n = 0; n < 3; n += 1) await ctx.usage(call(n))
      })
      return input
    })
    await start(agent)
    const { id } = await platform.ended(platform.queue({ skill: 'work', input }))
    expect(platform.task(id).usage.size).toBe(3)
  })

  test.for([call(-1), call(0.5), call(Number.NaN), call(1, { usd: -1 }), call(1, { model: '' }), call(1, { key: '' })])(
    '%o is a mistake that no retry can help',
    async (usage, { platform, start }) => {
      await start(
        agentOf(async (ctx) => {
          await ctx.usage(usage)
          return input
        }),
      )
      const task = await platform.ended(platform.queue({ skill: 'work', input }))
      expect(task).toMatchObject({ state: 'failed', attempt: 1, error: { code: 'usage_invalid' } })
      expect(platform.received('recordUsage')).toEqual([])
    },
  )
})

describe('output', () => {
  const said = (pieces: readonly { readonly text: string }[]): string => pieces.map(({ text }) => text).join('')

  test('comes in order and in few requests, all of it before the attempt is reported', async ({ platform, start }) => {
    const words = Array.from({ length: 300 }, (_, n) => `${n} `)
    const agent = agentOf(async (ctx) => {
      for (const word of words) {
        await ctx.output(word)
        await sleep(2)
      }
      await ctx.output('the end')
      return input
    })
    await start(agent)
    const { id } = await platform.ended(platform.queue({ skill: 'work', input }))
    const pieces = platform.task(id).said
    expect(said(pieces)).toBe(`${words.join('')}the end`)
    const tookMs = (pieces.at(-1)?.atMs ?? 0) - (pieces[0]?.atMs ?? 0)
    expect(pieces.length).toBeGreaterThanOrEqual(3)
    expect(pieces.length).toBeLessThanOrEqual(Math.ceil(tookMs / 200) + 2)
  })

  test('is cut into pieces that the platform takes, never through a character', async ({ platform, start }) => {
    const text = `a${'😀'.repeat(20_000)}`
    await start(
      agentOf(async (ctx) => {
        for (const half of ['\ud83d', '\ude00', '\0', text]) await ctx.output(half)
        return input
      }),
    )
    const { id } = await platform.ended(platform.queue({ skill: 'work', input }))
    const pieces = platform.task(id).said
    expect(said(pieces)).toBe(`😀${text}`)
    expect(pieces.every((piece) => piece.text.isWellFormed() && piece.text.length <= 16_384)).toBe(true)
  })

  test('that was refused for now is sent again, and never twice', async ({ platform, start }) => {
    platform.refuse('streamOutput', 'unavailable', 3)
    const agent = agentOf(async (ctx) => {
      await ctx.output('one ')
      await platform.until('the refusals', () => platform.received('streamOutput').length > 3)
      platform.cutReplies('streamOutput', 1)
      await ctx.output('two ')
      await platform.until('the cut', () => platform.received('streamOutput').length > 4)
      await ctx.output('three')
      return input
    })
    await start(agent)
    const { id } = await platform.ended(platform.queue({ skill: 'work', input }))
    expect(said(platform.task(id).said)).toBe('one two three')
  })

  test('beyond what may wait is left out, and says so in its place', async ({ platform, start }) => {
    const line = 'x'.repeat(1024)
    platform.refuse('streamOutput', 'unavailable', 1)
    await start(
      agentOf(async (ctx) => {
        for (let n = 0; n < 300; n += 1) await ctx.output(line)
        await platform.until('what waited', () => platform.received('streamOutput').length > 16)
        await ctx.output('the end')
        return input
      }),
    )
    const { id } = await platform.ended(platform.queue({ skill: 'work', input }))
    const text = said(platform.task(id).said)
    const leftOut = /\n\[(\d+) characters are left out here\]\n/.exec(text)
    expect(text.replace(leftOut?.[0] ?? '', '').length + Number(leftOut?.[1])).toBe(300 * 1024 + 'the end'.length)
    expect(text.endsWith('the end')).toBe(true)
  })

  test.for(['conflict', 'body_too_large'] as const)(
    'that the platform takes no more (%s) does not fail the task, and is not asked for again',
    async (code, { platform, start }) => {
      platform.refuse('streamOutput', code, 100)
      await start(
        agentOf(async (ctx) => {
          await ctx.output('one')
          await platform.until('the refusal', () => platform.received('streamOutput').length > 0)
          for (let n = 0; n < 5; n += 1) {
            await sleep(60)
            await ctx.output('more')
          }
          return input
        }),
      )
      const task = await platform.ended(platform.queue({ skill: 'work', input }))
      expect(task).toMatchObject({ state: 'completed', attempt: 1 })
      expect(platform.received('streamOutput')).toHaveLength(1)
    },
  )

  test('is lost without the platform, and the task is not', async ({ platform, start }) => {
    const agent = agentOf(async (ctx) => {
      await ctx.output('before ')
      await platform.until('the first piece', () => platform.task(ctx.taskId).said.length > 0)
      platform.goAway()
      for (let n = 0; n < 4; n += 1) {
        await ctx.output('unheard ')
        await sleep(100)
      }
      platform.comeBack()
      return input
    })
    await start(agent)
    const task = await platform.ended(platform.queue({ skill: 'work', input }))
    expect(task).toMatchObject({ state: 'completed', attempt: 1 })
    expect(said(platform.task(task.id).said)).toMatch(/^before /)
  })
})

describe('a task that is refused', () => {
  test('ends rejected, at once, with the reason', async ({ platform, start }) => {
    await start(
      agentOf((): never => {
        throw new RejectedError('no model configured', 'set MODEL_BASE_URL')
      }),
    )
    const task = await platform.ended(platform.queue({ skill: 'work', input }))
    const error = { code: 'rejected', message: 'no model configured: set MODEL_BASE_URL' }
    expect(task).toMatchObject({ state: 'rejected', attempt: 1, error })
    const [request] = platform.received('completeTasks')
    expect(request?.body).toMatchObject({ results: [{ outcome: 'rejected', error: { ...error, retryable: false } }] })
  })
})

test('runTask shows what was said and used', async () => {
  const agent = agentOf(async (ctx) => {
    await ctx.output('Hel')
    await ctx.output('lo')
    await ctx.step('ask', () => ctx.usage(call(3)))
    await ctx.usage(call(4, { key: 'ask' }))
    return input
  })
  const run = await runTask(agent, input)
  expect(run.said).toBe('Hello')
  expect(run.usage).toEqual([call(3, { key: 'ask' })])
})
