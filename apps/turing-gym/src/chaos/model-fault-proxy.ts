import { createService } from '@hypercode/http'
import { createLogger, createMetrics } from '@hypercode/telemetry'
import { Agent } from 'undici'
import { PREFIX, disturb } from './disturb.ts'
import type { FaultCounts, ModelWay } from './disturb.ts'
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

/**
 * A model endpoint on 127.0.0.1 that passes requests on to the real one and does to them what a scenario declares: delays, refusals with
 * `Retry-After`, answers that break off in the middle. Everything else goes through byte by byte as it comes, streams too.
 */
export async function createModelFaultProxy(options: ModelFaultProxyOptions): Promise<ModelFaultProxy> {
  const counts: FaultCounts = { requests: 0, delayed: 0, refused: 0, cut: 0, passed: 0, unreachable: 0 }
  const dispatcher = new Agent({
    connections: CONNECTIONS_MAX,
    connectTimeout: 5000,
    headersTimeout: MODEL_MS,
    bodyTimeout: MODEL_MS,
  })
  const way: ModelWay = {
    upstream: options.upstream.replace(/\/+$/, ''),
    dispatcher,
    retryAfterS: options.retryAfterS ?? 1,
    counts,
    injected: [],
  }
  const plan = createFaultPlan(options.faults)

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
      url: `${PREFIX}/*`,
      config,
      handler: async (message, reply) => {
        const { raw } = reply.hijack()
        counts.requests += 1
        const gone = new AbortController()
        raw.once('close', () => gone.abort())
        const signal = AbortSignal.any([gone.signal, app.drainSignal])
        try {
          await disturb(way, plan.next(), message, raw, signal)
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
    url: `${address}${PREFIX}`,
    counts,
    injected: () => way.injected,
    async close() {
      await app.close()
      await dispatcher.destroy()
    },
  }
}

const CONNECTIONS_MAX = 64
/** A large model may think for long before it says anything, and between two words. */
const MODEL_MS = 600_000
const BODY_MAX_BYTES = 32 * 1024 * 1024
