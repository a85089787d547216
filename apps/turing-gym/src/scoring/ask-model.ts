import { setTimeout as sleep } from 'node:timers/promises'
import { request } from 'undici'
import type { Dispatcher } from 'undici'
import { ScoringFault } from './scorer.ts'

/** A model behind an endpoint that speaks the chat protocol of OpenAI. */
export interface ModelEndpoint {
  /** Such as `https://api.openai.com/v1`. */
  readonly baseUrl: string
  readonly model: string
  readonly apiKey?: string
  /** For one answer. Default a minute. */
  readonly timeoutMs?: number
}

export interface ModelQuestion {
  readonly system: string
  readonly user: string
}

const TRIES = 3
const TIMEOUT_MS = 60_000
const PAUSE_MAX_MS = 30_000
const ANSWER_MAX_BYTES = 1024 * 1024

/**
 * One answer of the model, as text. Refusals for now (429, 5xx) and broken connections are asked again, at most twice, after the time that
 * `Retry-After` names.
 *
 * @throws {ScoringFault} when there is no answer
 */
export async function askModel(endpoint: ModelEndpoint, question: ModelQuestion, signal: AbortSignal): Promise<string> {
  for (let attempt = 1; ; attempt += 1) {
    const answer = await ask(endpoint, question, signal)
    if ('text' in answer) return answer.text
    if (!answer.mayPass || attempt === TRIES) throw new ScoringFault(`the judge model does not answer: ${answer.fault}`)
    await sleep(Math.min(answer.pauseMs ?? 500 * 2 ** attempt, PAUSE_MAX_MS), undefined, { signal })
  }
}

type Answer =
  | { readonly text: string }
  | { readonly fault: string; readonly mayPass: boolean; readonly pauseMs?: number }

async function ask(endpoint: ModelEndpoint, question: ModelQuestion, signal: AbortSignal): Promise<Answer> {
  const { baseUrl, model, apiKey, timeoutMs = TIMEOUT_MS } = endpoint
  const body = {
    model,
    temperature: 0,
    messages: [
      { role: 'system', content: question.system },
      { role: 'user', content: question.user },
    ],
  }
  try {
    const response = await request(`${baseUrl.replace(/\/+$/, '')}/chat/completions`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(apiKey !== undefined && { authorization: `Bearer ${apiKey}` }),
      },
      body: JSON.stringify(body),
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    })
    return await read(response)
  } catch (error) {
    signal.throwIfAborted()
    return { fault: error instanceof Error ? error.message : String(error), mayPass: true }
  }
}

async function read({ statusCode, headers, body }: Dispatcher.ResponseData): Promise<Answer> {
  const text = await textOf(body)
  if (statusCode !== 200) {
    const pauseMs = retryAfterMs(headers['retry-after'])
    const mayPass = statusCode === 429 || statusCode >= 500
    return { fault: `status ${statusCode}`, mayPass, ...(pauseMs !== undefined && { pauseMs }) }
  }
  const content = contentOf(text)
  return content === undefined ? { fault: 'the answer has no text', mayPass: true } : { text: content }
}

async function textOf(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of body) {
    bytes += chunk.length
    if (bytes > ANSWER_MAX_BYTES) throw new Error('the answer is too long')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** `choices[0].message.content` of an answer, if it has that. */
function contentOf(text: string): string | undefined {
  try {
    const answer = JSON.parse(text) as { choices?: { message?: { content?: unknown } }[] } | null
    const content = answer?.choices?.[0]?.message?.content
    return typeof content === 'string' ? content : undefined
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

/** Seconds, or a date; anything else says nothing. */
function retryAfterMs(header: string | string[] | undefined): number | undefined {
  if (typeof header !== 'string') return undefined
  const ms = /^\d{1,6}$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now()
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined
}
