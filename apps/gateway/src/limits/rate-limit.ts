import rateLimitPlugin, { normalizeIP } from '@fastify/rate-limit'
import { AppError } from '@hypercode/http'
import type { ServiceApp } from '@hypercode/http'
import type { Metrics } from '@hypercode/telemetry'
import type { FastifyRequest } from 'fastify'
import type { SharedCounter } from './shared-counter.ts'

export interface RateLimitOptions {
  readonly counter: SharedCounter
  readonly metrics: Metrics
  /** Requests a minute for the subject of a token. */
  readonly perSubject: number
  /** Requests a minute without a good token, for an address (an IPv6 network of 64 bits counts as one). */
  readonly perAddress: number
}

export interface RateLimit {
  /** Counts a request whose token was refused against its address; throws rate_limited when there were too many. */
  countRefused(request: FastifyRequest): void
}

const WINDOW_MS = 60_000

/** Limits every route that is registered on `app` afterwards. */
export async function limitRate(app: ServiceApp, options: RateLimitOptions): Promise<RateLimit> {
  const { counter, perSubject, perAddress } = options
  const limited = options.metrics.counter({
    name: 'hypercode_rate_limited_total',
    help: 'Requests refused because their caller sent too many',
    labels: ['caller'],
  })

  const isPublic = (request: FastifyRequest): boolean => request.routeOptions.config.public === true
  const refusal = (caller: 'subject' | 'address', ttlMs: number): AppError => {
    limited.inc({ caller })
    return new AppError('rate_limited', {
      detail: `More than ${caller === 'subject' ? perSubject : perAddress} requests in a minute.`,
      retryAfterMs: ttlMs,
    })
  }

  class CounterStore {
    incr(
      key: string,
      callback: (error: Error | null, result?: { current: number; ttl: number }) => void,
      windowMs: number,
      max: number,
    ): void {
      const { current, ttlMs } = counter.hit(key, windowMs, max)
      callback(null, { current, ttl: ttlMs })
    }

    child(): CounterStore {
      return this
    }
  }

  await app.register(rateLimitPlugin, {
    store: CounterStore,
    timeWindow: WINDOW_MS,
    max: (request: FastifyRequest) => (isPublic(request) ? perAddress : perSubject),
    keyGenerator: (request: FastifyRequest) => (isPublic(request) ? addressKey(request) : subjectKey(request)),
    errorResponseBuilder: (request, { ttl }) => refusal(isPublic(request) ? 'address' : 'subject', ttl),
  })

  return {
    countRefused(request) {
      const { current, ttlMs } = counter.hit(addressKey(request), WINDOW_MS, perAddress)
      if (current > perAddress) throw refusal('address', ttlMs)
    },
  }
}

const addressKey = (request: FastifyRequest): string => `ip/${normalizeIP(request.ip)}`

const subjectKey = ({ principal }: FastifyRequest): string => `sub/${principal.tenantId}/${principal.subject}`
