import type { ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import { createService } from '@hypercode/http'
import { createLogger, createMetrics } from '@hypercode/telemetry'
import { plainAnswer, streamedAnswer } from './model-answer.ts'
import { turnOf } from './model-script.ts'
import type { ModelMessage, ModelRequest, ModelScript, ModelTurn, ScriptedError } from './model-script.ts'

export interface ScriptedModelOptions {
  readonly script: ModelScript
  /** A free one by default. A fixed one lets a model in a process of its own come back at the same place. */
  readonly port?: number
  /** Requests without this key are refused with 401; any is taken by default. */
  readonly apiKey?: string
}

export interface ScriptedModel {
  /** What `MODEL_BASE_URL` is set to: `http://127.0.0.1:<port>/v1`. */
  readonly baseUrl: string
  /** Every request so far, also those that were refused by the script. */
  readonly requests: readonly ModelRequest[]
  /** Requests whose client has gone before it had its whole answer. */
  readonly abandoned: number
  close(): Promise<void>
}

/**
 * A model behind a real HTTP server on 127.0.0.1 that speaks the chat protocol of OpenAI and says what a script says:
 * streams and plain answers, tool calls, usage, refusals with `Retry-After`, slow answers, broken connections.
 */
export async function createScriptedModel(options: ScriptedModelOptions): Promise<ScriptedModel> {
  const requests: ModelRequest[] = []
  let abandoned = 0
  const app = await createService({
    name: 'scripted-model',
    version: '0.0.0',
    logger: createLogger({ service: 'scripted-model', level: 'silent' }),
    metrics: createMetrics('scripted-model', { processMetrics: false }),
    bodyLimitBytes: BODY_MAX_BYTES,
  })
  app.post(
    '/v1/chat/completions',
    { config: { public: true, longLived: true }, schema: { body: ChatRequest } },
    async ({ body, headers }, reply) => {
      const { raw } = reply.hijack()
      if (options.apiKey !== undefined && headers.authorization !== `Bearer ${options.apiKey}`) {
        refuse(raw, { status: 401, message: 'Incorrect API key provided' })
        return reply
      }
      const request = requestOf(body, headers, requests.length)
      requests.push(request)
      const gone = new AbortController()
      raw.once('close', () => {
        if (!raw.writableFinished) abandoned += 1
        gone.abort()
      })
      await answer(raw, options.script, request, AbortSignal.any([gone.signal, app.drainSignal]))
      return reply
    },
  )
  const address = await app.listen({ host: '127.0.0.1', port: options.port ?? 0 })
  return {
    baseUrl: `${address}/v1`,
    requests,
    get abandoned() {
      return abandoned
    },
    close: async () => await app.close(),
  }
}

/** What of the protocol is read; the rest is kept in `body`. */
const ChatRequest = Type.Object({
  model: Type.String(),
  stream: Type.Optional(Type.Boolean()),
  messages: Type.Array(
    Type.Object({
      role: Type.String(),
      content: Type.Optional(Type.Unknown()),
      tool_calls: Type.Optional(Type.Array(Type.Object({ function: Type.Object({ name: Type.String() }) }))),
    }),
    { minItems: 1 },
  ),
  tools: Type.Optional(Type.Array(Type.Object({ function: Type.Object({ name: Type.String() }) }))),
})
type ChatRequest = Static<typeof ChatRequest>

function requestOf(body: ChatRequest, headers: ModelRequest['headers'], index: number): ModelRequest {
  return {
    index,
    model: body.model,
    stream: body.stream === true,
    messages: body.messages.map(messageOf),
    tools: (body.tools ?? []).map((tool) => tool.function.name),
    headers,
    body,
    atMs: performance.now(),
  }
}

const messageOf = (message: ChatRequest['messages'][number]): ModelMessage => ({
  role: message.role,
  text: textOf(message.content),
  toolCalls: (message.tool_calls ?? []).map((call) => call.function.name),
})

function textOf(content: unknown): string {
  if (typeof content === 'string') return content
  if (!Array.isArray(content)) return ''
  return content.map((part: { readonly text?: unknown }) => (typeof part.text === 'string' ? part.text : '')).join('')
}

/** Says the turn of this request, unless the client or the server goes meanwhile. */
async function answer(
  raw: ServerResponse,
  script: ModelScript,
  request: ModelRequest,
  signal: AbortSignal,
): Promise<void> {
  const turn = await turnOf(script, request)
  if (!(await waited(turn.firstTokenMs, signal))) raw.destroy()
  else if (turn.error !== undefined) refuse(raw, turn.error)
  else if (request.stream) await stream(raw, turn, request, signal)
  else if (turn.cutAfter !== undefined) raw.destroy()
  else sendJson(raw, 200, plainAnswer(turn, request))
}

function refuse(raw: ServerResponse, { status, message, retryAfter }: ScriptedError): void {
  if (retryAfter !== undefined) raw.setHeader('retry-after', String(retryAfter))
  const type = status === 429 ? 'rate_limit_error' : status >= 500 ? 'server_error' : 'invalid_request_error'
  sendJson(raw, status, { error: { message: message ?? `refused with ${status}`, type, code: null } })
}

function sendJson(raw: ServerResponse, status: number, body: object): void {
  raw.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

async function stream(raw: ServerResponse, turn: ModelTurn, request: ModelRequest, signal: AbortSignal): Promise<void> {
  const { pieces, end } = streamedAnswer(turn, request)
  const send = async (data: string): Promise<void> => {
    // What is cut later shall have arrived before, so each piece is on the wire when the next one begins.
    await new Promise<void>((resolve) => raw.write(`data: ${data}\n\n`, () => resolve()))
  }
  raw.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' })
  raw.flushHeaders()
  for (const [index, piece] of pieces.entries()) {
    if (index === turn.cutAfter || (index > 0 && !(await waited(turn.chunkMs, signal)))) {
      raw.destroy()
      return
    }
    await send(JSON.stringify(piece))
  }
  if (turn.cutAfter !== undefined) {
    raw.destroy()
    return
  }
  for (const piece of end) await send(JSON.stringify(piece))
  await send('[DONE]')
  raw.end()
}

/** False when the client or the server has gone meanwhile. */
async function waited(ms: number | undefined, signal: AbortSignal): Promise<boolean> {
  if (ms === undefined) return !signal.aborted
  try {
    await sleep(ms, undefined, { signal })
    return true
  } catch (error) {
    if (!signal.aborted) throw error
    return false
  }
}

/** The conversation of a long task. */
const BODY_MAX_BYTES = 16 * 1024 * 1024
