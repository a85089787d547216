import type { Metrics } from '@hypercode/telemetry'
import fp from 'fastify-plugin'

/** Counts and times requests by route pattern, never by path, so that no caller can make new series. */
export const requestMetrics = fp<{ metrics: Metrics }>(
  async (app, { metrics }) => {
    const total = metrics.counter('http_requests_total', 'Requests by route and status', ['method', 'route', 'status'])
    const seconds = metrics.histogram('http_request_duration_seconds', 'Time from request to the end of the answer', [
      'method',
      'route',
    ])

    app.addHook('onRequest', (request, reply, done) => {
      const startedAt = performance.now()
      reply.raw.once('close', () => {
        const method = request.method
        const route = request.is404 ? 'unmatched' : (request.routeOptions.url ?? 'unmatched')
        // 499: the caller hung up before the end of the answer.
        total.inc({ method, route, status: reply.raw.writableFinished ? String(reply.raw.statusCode) : '499' })
        seconds.observe({ method, route }, (performance.now() - startedAt) / 1000)
      })
      done()
    })
  },
  { name: 'request-metrics', fastify: '5.x' },
)
