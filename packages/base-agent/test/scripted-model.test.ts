import { createScriptedModel } from '@hypercode/base-agent/testing'
import type { ModelScript, ScriptedModel, ScriptedModelOptions } from '@hypercode/base-agent/testing'
import { describe, expect, onTestFinished, test } from 'vitest'

/** A model that ends with the test. */
async function model(script: ModelScript, options: Partial<ScriptedModelOptions> = {}): Promise<ScriptedModel> {
  const scripted = await createScriptedModel({ script, ...options })
  onTestFinished(() => scripted.close())
  return scripted
}

const ask = async (model: ScriptedModel, body: object = {}, init: RequestInit = {}): Promise<Response> =>
  await fetch(`${model.baseUrl}/chat/completions`, {
    method: 'POST',
    ...init,
    headers: { 'content-type': 'application/json', ...init.headers },
    body: JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'say it please' }], ...body }),
  })

interface Chunk {
  readonly choices: readonly {
    readonly delta: { readonly content?: string; readonly tool_calls?: readonly { readonly function: Called }[] }
    readonly finish_reason: string | null
  }[]
  readonly usage?: unknown
}
interface Called {
  readonly name?: string
  readonly arguments: string
}

/** The events of a stream; the last one is the text `[DONE]`. */
async function chunksOf(response: Response): Promise<{ chunks: Chunk[]; last: string }> {
  const events = (await response.text()).split('\n\n').filter((event) => event !== '')
  const data = events.map((event) => event.replace(/^data: /, ''))
  return { chunks: data.slice(0, -1).map((text) => JSON.parse(text) as Chunk), last: data.at(-1) ?? '' }
}

describe('answers', () => {
  test('a plain answer has text, calls, usage and a reason', async () => {
    const calls = [
      { name: 'read_file', input: { path: 'a' } },
      { name: 'odd', input: '{broken', id: 'x' },
    ]
    const scripted = await model([{ text: 'two words', toolCalls: calls }])
    expect(await (await ask(scripted)).json()).toMatchObject({
      object: 'chat.completion',
      model: 'm',
      choices: [
        {
          message: {
            role: 'assistant',
            content: 'two words',
            tool_calls: [
              { id: 'call_0_0', type: 'function', function: { name: 'read_file', arguments: '{"path":"a"}' } },
              { id: 'x', function: { name: 'odd', arguments: '{broken' } },
            ],
          },
          finish_reason: 'tool_calls',
        },
      ],
      usage: { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 },
    })
  })

  test('a stream brings the same in pieces', async () => {
    const scripted = await model([
      {
        text: ['Hel', 'lo'],
        toolCalls: [{ name: 'look', input: { at: 'me' } }],
        usage: { inputTokens: 9, outputTokens: 2 },
      },
    ])
    const response = await ask(scripted, { stream: true })
    expect(response.headers.get('content-type')).toBe('text/event-stream')
    const { chunks, last } = await chunksOf(response)
    expect(last).toBe('[DONE]')
    const deltas = chunks.flatMap(({ choices }) => choices.map(({ delta }) => delta))
    expect(deltas.flatMap(({ content }) => content ?? [])).toEqual(['Hel', 'lo'])
    const called = deltas.flatMap(({ tool_calls: calls }) => calls?.map((call) => call.function) ?? [])
    expect(called.map(({ name }) => name)).toEqual(['look', undefined])
    expect(called.map((part) => part.arguments).join('')).toBe('{"at":"me"}')
    expect(chunks.flatMap(({ choices }) => choices.flatMap((choice) => choice.finish_reason ?? []))).toEqual([
      'tool_calls',
    ])
    expect(chunks.at(-1)?.usage).toEqual({ prompt_tokens: 9, completion_tokens: 2, total_tokens: 11 })
  })

  test('usage can be kept back', async () => {
    const scripted = await model([
      { text: 'a', usage: null },
      { text: 'a', usage: null },
    ])
    expect(await (await ask(scripted)).json()).not.toHaveProperty('usage')
    expect((await chunksOf(await ask(scripted, { stream: true }))).chunks.some((chunk) => 'usage' in chunk)).toBe(false)
  })
})

describe('scripts', () => {
  test('a function sees the request and decides', async () => {
    const scripted = await model(({ index, messages, tools }) => ({
      text: `${index} ${messages.at(-1)?.text} ${messages.flatMap(({ toolCalls }) => toolCalls).join()} ${tools.join()}`,
    }))
    const body = {
      messages: [
        {
          role: 'assistant',
          content: null,
          tool_calls: [{ id: '1', type: 'function', function: { name: 'f', arguments: '{}' } }],
        },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'in ' },
            { type: 'text', text: 'parts' },
          ],
        },
      ],
      tools: [{ type: 'function', function: { name: 'f', parameters: {} } }],
    }
    expect(await (await ask(scripted, body)).json()).toMatchObject({
      choices: [{ message: { content: '0 in parts f f' } }],
    })
  })

  test('a list that has come to its end is refused, and every request is kept', async () => {
    const scripted = await model([{ text: 'only one' }])
    expect((await ask(scripted)).status).toBe(200)
    const second = await ask(scripted, { temperature: 1 })
    expect([second.status, await second.json()]).toMatchObject([
      400,
      { error: { message: expect.stringContaining('1 turns') } },
    ])
    expect(scripted.requests.map(({ index, body }) => [index, body['temperature']])).toEqual([
      [0, undefined],
      [1, 1],
    ])
  })

  test('what is no chat request does not reach the script', async () => {
    const scripted = await model([{ text: 'never' }])
    expect((await ask(scripted, { messages: [] })).status).toBe(400)
    expect(scripted.requests).toEqual([])
  })

  test('a key is asked for when there is one', async () => {
    const scripted = await model([{ text: 'hello' }], { apiKey: 'k1' })
    expect((await ask(scripted)).status).toBe(401)
    expect((await ask(scripted, {}, { headers: { authorization: 'Bearer k1' } })).status).toBe(200)
  })

  test('it comes back at the port that it is given', async () => {
    const first = await model([{ text: 'first' }])
    await first.close()
    const second = await model([{ text: 'second' }], { port: Number(new URL(first.baseUrl).port) })
    expect(second.baseUrl).toBe(first.baseUrl)
    expect((await ask(first)).status).toBe(200)
  })
})

describe('what goes wrong', () => {
  test('refusals carry status, words and Retry-After', async () => {
    const scripted = await model([
      { error: { status: 429, message: 'slow down', retryAfter: 7 } },
      { error: { status: 503 } },
    ])
    const first = await ask(scripted)
    expect([first.status, first.headers.get('retry-after')]).toEqual([429, '7'])
    expect(await first.json()).toEqual({ error: { message: 'slow down', type: 'rate_limit_error', code: null } })
    const second = await ask(scripted, { stream: true })
    expect([second.status, second.headers.get('retry-after')]).toEqual([503, null])
  })

  test('slow answers take their time before the first piece and between pieces', async () => {
    const scripted = await model([{ text: ['a', 'b', 'c'], firstTokenMs: 60, chunkMs: 30 }])
    const began = performance.now()
    await (await ask(scripted, { stream: true })).text()
    expect(performance.now() - began).toBeGreaterThan(115)
  })

  test('a stream is cut after so many pieces, a plain answer before it', async () => {
    const scripted = await model([
      { text: ['a', 'b'], cutAfter: 1 },
      { text: 'a', cutAfter: 0 },
    ])
    const response = await ask(scripted, { stream: true })
    let seen = ''
    await expect(
      (async () => {
        for await (const part of response.body?.pipeThrough(new TextDecoderStream()) ?? []) seen += part
      })(),
    ).rejects.toThrow('terminated')
    expect(seen.match(/"content":"(.)"/g)).toEqual(['"content":"a"'])
    await expect(ask(scripted)).rejects.toThrow(TypeError)
  })

  test('a client that goes is noticed, and a slow answer does not keep the server', async () => {
    const scripted = await model([
      { text: 'late', firstTokenMs: 600_000 },
      { text: 'late', firstTokenMs: 600_000 },
    ])
    const leaving = new AbortController()
    const left = ask(scripted, {}, { signal: leaving.signal })
    await expect.poll(() => scripted.requests.length).toBe(1)
    leaving.abort()
    await expect(left).rejects.toThrow('aborted')
    await expect.poll(() => scripted.abandoned).toBe(1)
    const second = ask(scripted).then(
      () => 'answered',
      () => 'broken',
    )
    await expect.poll(() => scripted.requests.length).toBe(2)
    await scripted.close()
    expect(await second).toBe('broken')
  })
})
