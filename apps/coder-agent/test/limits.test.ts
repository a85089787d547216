import { setTimeout as sleep } from 'node:timers/promises'
import type { ModelTurn } from '@hypercode/base-agent/testing'
import { describe, expect, test } from 'vitest'
import { LIMITS, call, coder, model, realSandbox, runEdit } from './support/coder.ts'
import { repository } from './support/repository.ts'

const FILES = { 'a.txt': 'a\n' }
const LOOK: ModelTurn = { ...call('list_files', {}), usage: { inputTokens: 900, outputTokens: 100 } }
const input = async (limits = {}): Promise<{ root: string; instruction: string; limits: object }> => ({
  root: await repository(FILES),
  instruction: 'x',
  limits,
})

// Goal: a limit ends the task for good, and says which one and what was spent.
describe('limits', () => {
  test('of turns', async () => {
    const scripted = await model(() => LOOK)
    await expect(runEdit(await coder(scripted), await input({ turns: 3 }))).rejects.toMatchObject({
      name: 'TerminalError',
      code: 'limit_turns',
      message: 'the limit of 3 turns is reached',
      detail: expect.stringMatching(/^spent: 3 turns, 2700 tokens in, 300 out, 0\.0126 USD, \d+ ms$/),
    })
    expect(scripted.requests).toHaveLength(3)
  })

  test('of tokens, which also bounds the size of an answer', async () => {
    const scripted = await model(() => LOOK)
    await expect(runEdit(await coder(scripted), await input({ tokens: 1500 }))).rejects.toMatchObject({
      code: 'limit_tokens',
    })
    expect(scripted.requests.map(({ body }) => body['max_tokens'])).toEqual([1500, 500])
  })

  test('of money', async () => {
    const scripted = await model(() => LOOK)
    await expect(runEdit(await coder(scripted), await input({ usd: 0.01 }))).rejects.toMatchObject({
      code: 'limit_usd',
    })
    expect(scripted.requests).toHaveLength(3)
  })

  test('of money mean nothing without prices, so the task is rejected', async () => {
    const scripted = await model(() => LOOK)
    const agent = await coder(scripted, {
      model: { baseUrl: scripted.baseUrl, name: 'm', patience: { tries: 1, firstPauseMs: 1, pauseMaxMs: 1 } },
    })
    await expect(runEdit(agent, await input({ usd: 1 }))).rejects.toMatchObject({ name: 'RejectedError' })
    expect(scripted.requests).toEqual([])
  })

  test('of time, while the model is silent and while a command runs', async () => {
    const silent = await model([{ text: 'late', firstTokenMs: 60_000 }])
    await expect(runEdit(await coder(silent), await input({ ms: 300 }))).rejects.toMatchObject({ code: 'limit_ms' })
    await expect.poll(() => silent.abandoned).toBe(1)
    const busy = await model(() => call('run_command', { argv: ['node', '-e', 'setInterval(() => {}, 1000)'] }))
    const sandbox = await realSandbox()
    await expect(runEdit(await coder(busy, { sandbox }), await input({ ms: 1500 }))).rejects.toMatchObject({
      code: 'limit_ms',
    })
    expect(busy.requests).toHaveLength(1)
  })

  test('of the configuration cap what a task asks for', async () => {
    const scripted = await model(() => LOOK)
    const agent = await coder(scripted, { limits: { ...LIMITS, turns: 2 } })
    await expect(runEdit(agent, await input({ turns: 20 }))).rejects.toMatchObject({ code: 'limit_turns' })
    expect(scripted.requests).toHaveLength(2)
  })

  test('of the journal: answers become shorter, and the task ends before it is full', { timeout: 60_000 }, async () => {
    const line = `${'x'.repeat(99)}\n`
    const root = await repository({ 'big.txt': line.repeat(1000) })
    const read = { name: 'read_file', input: { path: 'big.txt' } }
    const scripted = await model(() => ({
      toolCalls: Array.from({ length: 16 }, () => read),
      usage: { inputTokens: 1, outputTokens: 1 },
    }))
    const agent = await coder(scripted, { limits: { ...LIMITS, turns: 500 } })
    await expect(runEdit(agent, { root, instruction: 'x' })).rejects.toMatchObject({ code: 'limit_journal' })
    const sizes = (scripted.requests.at(-1)?.messages ?? []).flatMap(({ role, text }) =>
      role === 'tool' ? text.length : [],
    )
    expect(sizes[0]).toBeGreaterThan(38_000)
    expect(sizes.at(-1)).toBeLessThan(20_000)
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(3_800_000)
  })

  test('count what an earlier attempt has spent', async () => {
    const scripted = await model(() => LOOK)
    const asked = await input({ turns: 3 })
    const steps: Record<string, unknown> = {}
    const first = await runEdit(await coder(await model([LOOK, { text: 'done' }])), { ...asked })
    for (const name of ['snapshot', 'turn-1', 'turn-1/call-1 list_files']) steps[name] = first.steps[name]
    await expect(runEdit(await coder(scripted), asked, { steps, attempt: 2 })).rejects.toMatchObject({
      code: 'limit_turns',
    })
    expect(scripted.requests).toHaveLength(2)
  })
})

describe('a model that fails', () => {
  test('busy for a moment: as long as it asks for is waited, and nothing of it is counted', async () => {
    const scripted = await model([
      { error: { status: 429, retryAfter: 1 } },
      { error: { status: 503 } },
      { text: 'done' },
    ])
    const { output, usage } = await runEdit(await coder(scripted), await input())
    expect([output.summary, usage.length, output.usage.turns]).toEqual(['done', 1, 1])
    const [first, second] = scripted.requests
    expect((second?.atMs ?? 0) - (first?.atMs ?? 0)).toBeGreaterThanOrEqual(990)
  })

  test('busy for longer than is waited here: the task is handed back until then', async () => {
    const scripted = await model([{ error: { status: 429, retryAfter: 90 } }])
    await expect(runEdit(await coder(scripted), await input())).rejects.toMatchObject({
      name: 'RetryableError',
      code: 'model_unavailable',
      retryAfterMs: 90_000,
    })
    expect(scripted.requests).toHaveLength(1)
  })

  test('broken for good: asked a few times, then handed back', async () => {
    const scripted = await model(() => ({ error: { status: 500 } }))
    await expect(runEdit(await coder(scripted), await input())).rejects.toMatchObject({
      code: 'model_unavailable',
      message: expect.stringContaining('asked 3 times'),
    })
    expect(scripted.requests).toHaveLength(3)
  })

  test('that breaks off in the middle is asked again', async () => {
    const scripted = await model([{ text: ['half', ' of', ' it'], cutAfter: 2 }, { text: 'whole' }])
    const { output, said } = await runEdit(await coder(scripted), await input())
    expect(output.summary).toBe('whole')
    expect(said).toMatch(/^half of\n\[the answer of the model broke off[^\]]*; asked again\]\nwhole$/)
  })

  test('that refuses for good ends the task', async () => {
    const scripted = await model([{ error: { status: 401, message: 'Incorrect API key' } }])
    await expect(runEdit(await coder(scripted), await input())).rejects.toMatchObject({
      name: 'TerminalError',
      code: 'model_refused',
      message: 'the model refused with 401: Incorrect API key',
    })
    const filtered = await model([{ text: 'no', finishReason: 'content_filter' }])
    await expect(runEdit(await coder(filtered), await input())).rejects.toMatchObject({ code: 'model_refused' })
  })

  test('that is not there is waited for and told', async () => {
    const scripted = await model([])
    await scripted.close()
    await expect(runEdit(await coder(scripted), await input())).rejects.toMatchObject({ code: 'model_unavailable' })
  })

  test('that is not configured: the task is rejected and says what to set', async () => {
    const scripted = await model([])
    await expect(runEdit(await coder(scripted, { model: undefined }), await input())).rejects.toMatchObject({
      name: 'RejectedError',
      message: 'no model configured: set MODEL_BASE_URL and MODEL_NAME',
    })
  })
})

test('an answer without end is not listened to for ever', async () => {
  const scripted = await model([{ text: Array.from({ length: 30 }, () => 'x'.repeat(50_000)) }])
  await expect(runEdit(await coder(scripted), await input())).rejects.toMatchObject({
    code: 'model_refused',
    message: 'the answer of the model is too long',
  })
})

test('calls that are too large for the journal are answered with that', async () => {
  const large = { name: 'write_file', input: { path: 'a', content: 'x'.repeat(90_000) } }
  const scripted = await model([
    { toolCalls: [large, { ...large, input: { ...large.input, path: 'b' } }] },
    { text: 'ok' },
  ])
  const { output } = await runEdit(await coder(scripted), await input())
  expect(output.files.map(({ path }) => path)).toEqual(['a'])
  expect(scripted.requests[1]?.messages.at(-1)?.text).toBe('refused: the input is too long; use smaller steps')
})

test('a cancel stops a slow answer at once, and a running command too', async () => {
  const slow = await model([{ text: Array.from({ length: 1000 }, () => 'word '), chunkMs: 50 }])
  const sandbox = await realSandbox()
  const busy = await model(() => call('run_command', { argv: ['node', '-e', 'setInterval(() => {}, 1000)'] }))
  for (const [scripted, isBusy] of [
    [slow, () => slow.requests.length === 1],
    [busy, () => busy.requests.length === 1],
  ] as const) {
    const canceling = new AbortController()
    const running = runEdit(await coder(scripted, { sandbox }), await input(), { signal: canceling.signal })
    const ended = running.then(
      () => 'completed',
      (error: unknown) => (error as { reason?: string }).reason,
    )
    await expect.poll(isBusy, { timeout: 10_000 }).toBe(true)
    await sleep(200)
    canceling.abort()
    expect(await ended).toBe('canceled')
  }
  await expect.poll(() => slow.abandoned).toBe(1)
  expect(sandbox.ran).toEqual([])
})
