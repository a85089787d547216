import { RetryableError } from '@hypercode/base-agent'
import { runTask } from '@hypercode/base-agent/testing'
import { describe, expect } from 'vitest'
import { agentOf, test } from './setup.ts'

const input = { skill: 'work', input: { text: '' } }

describe('effects', () => {
  test('one that is done is not done again, and a later attempt has its answer', async ({ platform, start }) => {
    const keys: string[] = []
    const agent = agentOf(async (ctx) => {
      const paid = await ctx.effect('pay', { idempotent: false }, ({ idempotencyKey }) => {
        keys.push(idempotencyKey)
        return { id: 7 }
      })
      if (ctx.attempt === 1) throw new RetryableError('after it')
      return { text: String(paid.id) }
    })
    platform.cutReplies('putEffect', 2)
    await start(agent)
    const { id, output } = await platform.ended(platform.queue(input))
    expect(output).toEqual({ text: '7' })
    expect(keys).toEqual([`${id}:pay`])
    expect(platform.task(id).effects.get('pay')).toMatchObject({ state: 'done', attempt: 1, response: { id: 7 } })
  })

  test('an idempotent one that failed is done again under the same key', async ({ platform, start }) => {
    const keys: string[] = []
    const agent = agentOf(async (ctx) => {
      await ctx.effect('pay', { idempotent: true }, ({ idempotencyKey }) => {
        keys.push(idempotencyKey)
        if (ctx.attempt === 1) throw new Error('cut off')
      })
      return { text: '' }
    })
    await start(agent)
    const { id } = await platform.ended(platform.queue(input))
    expect(keys).toEqual([`${id}:pay`, `${id}:pay`])
  })

  test('one that must not be repeated pauses the task, and its handler is stopped', async ({ platform, start }) => {
    let runs = 0
    const reasons: unknown[] = []
    const agent = agentOf(async (ctx) => {
      ctx.signal.addEventListener('abort', () => reasons.push((ctx.signal.reason as { reason: unknown }).reason))
      await ctx.effect('pay', { idempotent: false }, () => {
        runs += 1
        throw new Error('did it happen?')
      })
      return { text: '' }
    })
    await start(agent)
    const id = platform.queue(input)
    await platform.until('the pause', () => platform.task(id).state === 'paused')
    await platform.until('the end of the handler', () => reasons.length === 1)
    expect([runs, reasons]).toEqual([1, ['lease_lost']])
    expect(platform.task(id).effects.get('pay')?.state).toBe('unknown')
  })

  test('an answer that cannot be kept fails the task, and the effect counts as done', async ({ platform, start }) => {
    await start(
      agentOf(async (ctx) => {
        await ctx.effect('pay', { idempotent: false }, () => 'x'.repeat(70_000))
        return { text: '' }
      }),
    )
    const task = await platform.ended(platform.queue(input))
    expect(task).toMatchObject({ state: 'failed', attempt: 1, error: { code: 'effect_invalid' } })
    expect(platform.task(task.id).effects.get('pay')).toMatchObject({ state: 'done', response: null })
  })

  test('the same one twice in an attempt is a mistake', async () => {
    const agent = agentOf(async (ctx) => {
      await ctx.effect('pay', { idempotent: true }, () => 1)
      await ctx.effect('pay', { idempotent: true }, () => 1)
      return { text: '' }
    })
    await expect(runTask(agent, { text: '' })).rejects.toMatchObject({ code: 'effect_repeated' })
  })

  test('a task that is run without a platform shows what it did', async () => {
    const agent = agentOf(async (ctx) => ({ text: await ctx.effect('send', { idempotent: true }, () => 'sent') }))
    const run = await runTask(agent, { text: '' })
    expect([run.output, run.effects]).toEqual([{ text: 'sent' }, { send: 'sent' }])
  })
})
