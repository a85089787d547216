import { once } from 'node:events'
import type { IncomingHttpHeaders, ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { createService } from '@hypercode/http'
import { createLogger, createMetrics } from '@hypercode/telemetry'
import type { FastifyRequest } from 'fastify'
import { Agent, request } from 'undici'
import type { Dispatcher } from 'undici'
import { createFaultPlan } from './fault-plan.ts'
import type { ModelFault } from './fault-plan.ts'

export interface ModelFaultProxyOptions {
  /** The real `MODEL_BASE_URL`. */
  readonly upstream: string
  readonly faults: readonly ModelFault[]
  /** What refusals say in `Retry-After`, seconds. Default 1. */
  readonly retryAfterS?: number
}

export interface ModelFaultProxy {
  /** What the agent gets as `MODEL_BASE_URL`. */
  readonly url: string
  readonly counts: Readonly<FaultCounts>
  /** What has been done so far, in order: `delay model 800 ms`, `status 429`, `cut model`. */
  injected(): readonly string[]
  close(): Promise<void>
}

export interface FaultCounts {
  requests: number
  delayed: number
  refused: number
  cut: number
  /** Answered by the model as it is. */
  passed: number
  /** The model could not be reached; the agent was told 502. */
  unreachable: number
}

/**
 * A model endpoint on 127.0.0.1 that passes requests on to the real one and does to them what a scenario declares: delays, refusals with
 * `Retry-After`, answers that break off in the middle. Everything else goes through byte by byte as it comes, streams too.
 */
export async function createModelFaultProxy(options: ModelFaultProxyOptions): Promise<ModelFaultProxy> {
  const upstream = options.upstream.replace(/\/+$/, '')
  const counts: FaultCounts = { requests: 0, delayed: 0, refused: 0, cut: 0, passed: 0, unreachable: 0 }
  const agent = new Agent({
    connections: CONNECTIONS_MAX,
    connectTimeout: 5000,
    headersTimeout: MODEL_MS,
    bodyTimeout: MODEL_MS,
  })
  const injected: string[] = []
  const plan = createFaultPlan(options.faults)

  const interfere = async (message: FastifyRequest, raw: ServerResponse, signal: AbortSignal): Promise<void> => {
    const { delayMs, ending } = plan.next()
    if (delayMs > 0) {
      counts.delayed += 1
      injected.push(`delay model ${delayMs} ms`)
      await sleep(delayMs, undefined, { signal })
    }
    if (typeof ending === 'object') {
      counts.refused += 1
      injected.push(`status ${ending.status}`)
      refuse(raw, ending.status, options.retryAfterS ?? 1)
      return
    }
    const answer = await ask(agent, upstream, message, signal)
    if (answer === undefined) {
      counts.unreachable += 1
      refuse(raw, 502)
    } else if (ending === 'cut') {
      counts.cut += 1
      injected.push('cut model')
      await breakOff(answer, raw)
    } else {
      await pass(answer, raw)
      counts.passed += 1
    }
  }

  const app = await createService({
    name: 'model-fault-proxy',
    version: '0.0.0',
    logger: createLogger({ service: 'model-fault-proxy', level: 'silent' }),
    metrics: createMetrics('model-fault-proxy', { processMetrics: false }),
    bodyLimitBytes: BODY_MAX_BYTES,
  })
  app.register(async (scope) => {
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
    const config = { public: true as const, longLived: true as const }
    // hypercode-audit-ignore[authentication]: it listens on 127.0.0.1 and adds no key of its own; who asks the model brings one
    scope.route({
      method: ['GET', 'POST'],
      url: '/model/*',
      config,
      handler: async (message, reply) => {
        const { raw } = reply.hijack()
        counts.requests += 1
        const gone = new AbortController()
        raw.once('close', () => gone.abort())
        const signal = AbortSignal.any([gone.signal, app.drainSignal])
        try {
          await interfere(message, raw, signal)
        } catch {
          // Either side has gone in the middle of an answer. Half of one can only be cut off, so that nobody takes it for a whole one.
          raw.destroy()
        }
        return reply
      },
    })
  })
  const address = await app.listen({ host: '127.0.0.1', port: 0 })
  return {
    url: `${address}/model`,
    counts,
    injected: () => injected,
    async close() {
      await app.close()
      await agent.destroy()
    },
  }
}

const CONNECTIONS_MAX = 64
/** A large model may think for long before it says anything, and between two words. */
const MODEL_MS = 600_000
const BODY_MAX_BYTES = 32 * 1024 * 1024

async function ask(
  dispatcher: Dispatcher,
  upstream: string,
  message: FastifyRequest,
  signal: AbortSignal,
): Promise<Dispatcher.ResponseData | undefined> {
  const path = message.url.slice('/model'.length)
  try {
    return await request(`${upstream}${path}`, {
      dispatcher,
      method: message.method as Dispatcher.HttpMethod,
      headers: forwarded(message.headers),
      body: Buffer.isBuffer(message.body) ? message.body : null,
      signal,
    })
  } catch (error) {
    if (signal.aborted) throw error
    return undefined
  }
}

async function pass({ statusCode, headers, body }: Dispatcher.ResponseData, raw: ServerResponse): Promise<void> {
  raw.writeHead(statusCode, forwarded(headers))
  raw.flushHeaders()
  for await (const chunk of body) await write(raw, chunk as Buffer)
  raw.end()
}

/** The agent gets the head and half of the first piece. */
async function breakOff({ statusCode, headers, body }: Dispatcher.ResponseData, raw: ServerResponse): Promise<void> {
  raw.writeHead(statusCode, forwarded(headers))
  for await (const chunk of body) {
    const piece = chunk as Buffer
    // It shall have left before the end does.
    await new Promise<void>((resolve) => raw.write(piece.subarray(0, Math.ceil(piece.length / 2)), () => resolve()))
    break
  }
  raw.destroy()
}

async function write(raw: ServerResponse, chunk: Buffer): Promise<void> {
  if (raw.write(chunk) || raw.destroyed) return
  await Promise.race([once(raw, 'drain'), once(raw, 'close')])
}

function refuse(raw: ServerResponse, status: number, retryAfterS?: number): void {
  const body = JSON.stringify({ error: { message: `refused with ${status}`, type: 'fault', code: null } })
  raw.writeHead(status, {
    'content-type': 'application/json',
    ...(retryAfterS !== undefined && { 'retry-after': String(retryAfterS) }),
  })
  raw.end(body)
}

/** Belong to one connection, or are written anew for the next one. */
const NOT_FORWARDED = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

const forwarded = (headers: IncomingHttpHeaders): IncomingHttpHeaders =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !NOT_FORWARDED.has(name)))
