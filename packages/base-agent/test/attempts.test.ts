import { RetryableError, TerminalError, defineAgent } from '@hypercode/base-agent'
import { Type } from '@sinclair/typebox'
import { describe, expect } from 'vitest'
import { agentOf, aborted, recordingLogger, test } from './setup.ts'

describe('what becomes of an attempt', () => {
  test('a result is reported, checked, as JSON', async ({ platform, start }) => {
    await start(agentOf((_ctx, { text }) => ({ text: text.toUpperCase() })))
    const task = await platform.ended(platform.queue({ skill: 'work', input: { text: 'hi' } }))
    expect(task).toMatchObject({ state: 'completed', output: { text: 'HI' }, attempt: 1 })
  })

  test('an input that does not fit fails at once, and the handler never sees it', async ({ platform, start }) => {
    let runs = 0
    await start(agentOf(() => ({ text: String((runs += 1)) })))
    const task = await platform.ended(platform.queue({ skill: 'work', input: { text: 7, more: true } }))
    expect(task).toMatchObject({ state: 'failed', attempt: 1, error: { code: 'input_invalid' } })
    expect(task.error?.message).toContain('/text must be string')
    expect(runs).toBe(0)
  })

  test('defaults of the input schema are filled in', async ({ platform, start }) => {
    const input = Type.Object({ depth: Type.Optional(Type.Integer({ default: 3 })) })
    const output = Type.Object({ depth: Type.Optional(Type.Integer()) })
    await start(
      defineAgent({ name: 'a', version: '1', skills: [{ id: 'work' }], input, output, onTask: (_ctx, given) => given }),
    )
    expect((await platform.ended(platform.queue({ skill: 'work' }))).output).toEqual({ depth: 3 })
  })

  test('a verified output that is refused comes back with the reason, at no cost of attempts', async ({
    platform,
    start,
  }) => {
    const seen: unknown[] = []
    await start(
      agentOf((ctx) => {
        seen.push(ctx.previousError)
        return { text: ctx.previousError === undefined ? 'draft' : 'better' }
      }),
    )
    const verify = (output: unknown): string | undefined =>
      (output as { text: string }).text === 'draft' ? 'too short' : undefined
    const task = await platform.ended(platform.queue({ skill: 'work', input: { text: '' }, maxAttempts: 1, verify }))
    expect(task).toMatchObject({ state: 'completed', attempt: 2, output: { text: 'better' } })
    expect(seen).toEqual([undefined, { code: 'verification_failed', message: 'too short' }])
  })

  // Goal: an author whose model answers wrongly is told what was wrong, and the retry policy bounds how often.
  test('a wrong output is retried, and its faults are told to the next attempt', async ({ platform, start }) => {
    const seen: (string | undefined)[] = []
    const agent = agentOf((ctx) => {
      seen.push(ctx.previousError?.message)
      return (ctx.attempt < 3 ? { text: ctx.attempt, extra: 1 } : { text: 'at last' }) as { text: string }
    })
    await start(agent)
    const task = await platform.ended(platform.queue({ skill: 'work', input: { text: '' } }))
    expect(task).toMatchObject({ state: 'completed', attempt: 3, output: { text: 'at last' } })
    expect(seen[0]).toBeUndefined()
    expect(seen[1]).toContain('/text must be string')
    expect(platform.task(task.id).attempts[0]?.error?.code).toBe('output_invalid')
    expect(platform.received('getTask')).toEqual([])
  })

  test('attempts run out', async ({ platform, start }) => {
    await start(agentOf(() => ({ text: 1 }) as unknown as { text: string }))
    const task = await platform.ended(platform.queue({ skill: 'work', input: { text: '' }, maxAttempts: 2 }))
    expect(task).toMatchObject({ state: 'failed', attempt: 2, error: { code: 'output_invalid' } })
  })

  const thrown: [string, unknown, string, string, boolean][] = [
    ['TerminalError', new TerminalError('no change', 'at all'), 'terminal', 'no change: at all', false],
    ['TerminalError with a code', new TerminalError('no', undefined, { code: 'no_plan' }), 'no_plan', 'no', false],
    ['RetryableError', new RetryableError('busy', { retryAfterMs: 5 }), 'retryable', 'busy', true],
    ['an error', new TypeError('x is not a function'), 'handler_error', 'TypeError: x is not a function', true],
    ['text', 'plain', 'handler_error', 'the handler threw "plain"', true],
    ['what Postgres cannot store', new Error('a\0b\ud800'), 'handler_error', 'a\ufffdb\ufffd', true],
  ]
  test.for(thrown)('throwing %s', async ([, error, code, message, retryable], { platform, start }) => {
    await start(
      agentOf((): never => {
        throw error as Error
      }),
    )
    const task = await platform.ended(platform.queue({ skill: 'work', input: { text: '' }, maxAttempts: 1 }))
    expect(task.error).toEqual({ code, message })
    const [request] = platform.received('completeTasks')
    expect(request?.body).toMatchObject({ results: [{ outcome: 'failed', error: { code, retryable } }] })
  })

  test('an attempt whose time is over is told, and fails as such', async ({ platform, start }) => {
    const agent = agentOf(async (ctx): Promise<never> => {
      await aborted(ctx.signal)
      throw ctx.signal.reason
    })
    await start(agent)
    const id = platform.queue({ skill: 'work', input: { text: '' }, attemptTimeoutMs: 100, maxAttempts: 1 })
    expect((await platform.ended(id)).error?.code).toBe('attempt_timeout')
  })

  test('a result that the platform cannot store fails the task, and holds up no other', async ({ platform, start }) => {
    await start(agentOf((_ctx, { text }) => ({ text: text === 'bad' ? 'a\0b' : text }), { slots: 3 }))
    const ids = ['good', 'bad', 'fine'].map((text) => platform.queue({ skill: 'work', input: { text } }))
    const ended = await Promise.all(ids.map((id) => platform.ended(id)))
    expect(ended.map(({ state }) => state)).toEqual(['completed', 'failed', 'completed'])
    expect(ended[1]?.error).toMatchObject({
      code: 'output_refused',
      message: expect.stringContaining('text_invalid') as string,
    })
  })
})

test('every log line of an attempt carries what it belongs to', async ({ platform, start }) => {
  const { logger, lines } = recordingLogger()
  const agent = agentOf(async (ctx) => {
    await ctx.step('a', () => ctx.log.info('in the step'))
    return { text: '' }
  })
  await start(agent, { logger })
  const id = platform.queue({ skill: 'work', input: { text: '' }, correlationId: 'corr-1' })
  await platform.ended(id)
  const line = lines.find(({ msg }) => msg === 'in the step')
  const { missionId } = platform.task(id)
  expect(line).toMatchObject({ service: 'test', correlationId: 'corr-1', taskId: id, missionId, attempt: 1 })
  expect(line?.['tenantId']).toMatch(/^[0-9a-f-]{36}$/)
  // … and so do the calls that it makes.
  expect(platform.received('recordStep')[0]?.headers['x-correlation-id']).toBe('corr-1')
})

describe('cancel', () => {
  test.override({ timing: { leaseMs: 15_000, heartbeatMs: 5_000 } })

  // Goal: with the beats of production a cancel reaches the code in less than two seconds.
  test('reaches the signal of the handler in time, and the task ends canceled', async ({ platform, start }) => {
    const reasons: unknown[] = []
    const agent = agentOf(async (ctx) => {
      await aborted(ctx.signal)
      reasons.push(ctx.signal.reason)
      await expect(ctx.step('late', () => 1)).rejects.toThrow('canceled')
      return { text: 'too late' }
    })
    await start(agent)
    const id = platform.queue({ skill: 'work', input: { text: '' } })
    const told = (): boolean => platform.instances()[0]?.beats.some(({ tasks }) => tasks?.[0]?.taskId === id) === true
    // Right after a beat is the worst moment: the cancel has to wait for the next one.
    await platform.until('a beat with the attempt', told)
    const askedMs = performance.now()
    platform.cancel(id)
    const task = await platform.ended(id)
    expect(task.state).toBe('canceled')
    expect(performance.now() - askedMs).toBeLessThan(2_000)
    expect(reasons).toEqual([expect.objectContaining({ name: 'AttemptStopped', reason: 'canceled' })])
    expect(platform.task(id).steps).toEqual([])
  })
})
