import { createScriptedModel } from '@hypercode/base-agent/testing'
import { waitFor } from '@hypercode/testkit'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createFaultPlan } from '../src/chaos/fault-plan.ts'
import { createModelFaultProxy } from '../src/chaos/index.ts'
import type { ModelFault } from '../src/chaos/index.ts'

async function disturbed(faults: readonly ModelFault[], turn: object = { text: 'hello from the model' }) {
  const model = await createScriptedModel({ script: () => turn, apiKey: 'key' })
  const proxy = await createModelFaultProxy({ upstream: `${model.baseUrl}/`, faults })
  onTestFinished(async () => {
    await proxy.close()
    await model.close()
  })
  const ask = async (stream = false, signal: AbortSignal | null = null) =>
    await fetch(`${proxy.url}/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: 'Bearer key' },
      body: JSON.stringify({ model: 'm', stream, messages: [{ role: 'user', content: 'hi' }] }),
      signal,
    })
  return { model, proxy, ask }
}

describe('a plan of faults', () => {
  it('adds up delays, and meets one refusal or cut per request, in order', () => {
    const plan = createFaultPlan([
      { delay: 'model', ms: 100 },
      { delay: 'model', ms: 10, times: 1 },
      { status: 429, times: 2 },
      { cut: 'model', times: 1 },
      { status: 500, times: 1 },
    ])
    expect(Array.from({ length: 5 }, () => plan.next())).toEqual([
      { delayMs: 110, ending: { status: 429 } },
      { delayMs: 100, ending: { status: 429 } },
      { delayMs: 100, ending: 'cut' },
      { delayMs: 100, ending: { status: 500 } },
      { delayMs: 100 },
    ])
  })
})

describe('a proxy before a model', () => {
  it('passes on what it is not told to disturb: body, key, answer', async () => {
    const { model, proxy, ask } = await disturbed([])
    const response = await ask()
    expect(response.status).toBe(200)
    expect(await response.json()).toMatchObject({ choices: [{ message: { content: 'hello from the model' } }] })
    expect(model.requests[0]).toMatchObject({ model: 'm', headers: { authorization: 'Bearer key' } })
    await waitFor(() => proxy.counts.passed === 1, { what: 'the end of the answer' })
    expect(proxy.counts).toEqual({ requests: 1, delayed: 0, refused: 0, cut: 0, passed: 1, unreachable: 0 })
    expect(proxy.injected()).toEqual([])
  })

  it('passes errors of the model on as they are', async () => {
    const { ask } = await disturbed([], { error: { status: 400, message: 'no such model' } })
    const response = await ask()
    expect([response.status, await response.text()]).toEqual([400, expect.stringContaining('no such model')])
  })

  it('lets a stream through piece by piece', async () => {
    const { ask } = await disturbed([], { text: ['one ', 'two ', 'three'], chunkMs: 150 })
    const response = await ask(true)
    const arrivals: number[] = []
    let text = ''
    for await (const chunk of response.body ?? []) {
      arrivals.push(performance.now())
      text += Buffer.from(chunk).toString()
    }
    expect(text).toMatch(/one [^]*two [^]*three[^]*\[DONE\]/)
    expect((arrivals.at(-1) ?? 0) - (arrivals[0] ?? 0)).toBeGreaterThan(200)
  })

  it('refuses so many times, with Retry-After, and the model hears nothing of it', async () => {
    const { model, proxy, ask } = await disturbed([{ status: 429, times: 2 }])
    const answers = [await ask(), await ask(), await ask()]
    expect(answers.map(({ status, headers }) => [status, headers.get('retry-after')])).toEqual([
      [429, '1'],
      [429, '1'],
      [200, null],
    ])
    expect(model.requests).toHaveLength(1)
    expect(proxy.injected()).toEqual(['status 429', 'status 429'])
  })

  it('lets go of who does not want to wait', async () => {
    const { proxy, ask, model } = await disturbed([{ delay: 'model', ms: 50_000 }])
    const controller = new AbortController()
    const asking = ask(false, controller.signal)
    await waitFor(() => proxy.counts.delayed === 1, { what: 'the delay' })
    controller.abort()
    await expect(asking).rejects.toThrow('aborted')
    expect(model.requests).toHaveLength(0)
  })

  it('delays by the time that is declared', async () => {
    const { proxy, ask } = await disturbed([{ delay: 'model', ms: 200, times: 1 }])
    const begin = performance.now()
    expect((await ask()).status).toBe(200)
    expect(performance.now() - begin).toBeGreaterThanOrEqual(199)
    expect(proxy.injected()).toEqual(['delay model 200 ms'])
  })

  it.each([false, true])('breaks an answer off in the middle, stream: %s', async (stream) => {
    const { proxy, ask, model } = await disturbed([{ cut: 'model', times: 1 }])
    const response = await ask(stream)
    expect(response.status).toBe(200)
    await expect(response.text()).rejects.toThrow('terminated')
    expect(proxy.counts.cut).toBe(1)
    expect(proxy.injected()).toEqual(['cut model'])
    expect(model.requests).toHaveLength(1)
    expect(await (await ask()).text()).toContain('hello')
  })

  it('hangs up on the model when the agent hangs up', async () => {
    const { ask, model } = await disturbed([], { text: ['a', 'b', 'c'], chunkMs: 60_000 })
    const controller = new AbortController()
    const response = await ask(true, controller.signal)
    const reading = response.text()
    controller.abort()
    await expect(reading).rejects.toThrow('aborted')
    await waitFor(() => model.abandoned === 1, { what: 'the model being hung up on' })
  })

  it('says 502 when there is no model', async () => {
    const { ask, model, proxy } = await disturbed([])
    await model.close()
    expect((await ask()).status).toBe(502)
    expect(proxy.counts).toMatchObject({ requests: 1, unreachable: 1 })
  })

  it('speaks to its model alone, whatever a path says', async () => {
    const { proxy, model } = await disturbed([])
    const answers = await Promise.all(
      ['/../../metrics', '/%2e%2e/metrics', '@127.0.0.1:1/'].map(async (path) => await fetch(`${proxy.url}${path}`)),
    )
    expect(answers.every(({ status }) => status === 404 || status === 400 || status === 502 || status === 200)).toBe(
      true,
    )
    expect(model.requests).toHaveLength(0)
  })
})
