import type { Metrics } from '@hypercode/telemetry'
import fp from 'fastify-plugin'
import { routeName } from './route-name.ts'

/** Counts and times requests by route pattern, never by path, so that no caller can make new series. */
export const requestMetrics = fp<{ metrics: Metrics }>(
  async (app, { metrics }) => {
    const total = metrics.counter({
      name: 'hypercode_http_requests_total',
      help: 'Requests by route and status; 499 when the caller hung up before the end of the answer',
      labels: ['method', 'route', 'status'],
    })
    const seconds = metrics.histogram({
      name: 'hypercode_http_request_duration_seconds',
      help: 'Time from the head of the request to the end of the answer',
      labels: ['method', 'route'],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    })

    app.addHook('onRequest', (request, reply, done) => {
      const startedAt = performance.now()
      reply.raw.once('close', () => {
        const method = request.method
        const route = routeName(request.routeOptions.url ?? 'unmatched')
        total.inc({ method, route, status: reply.raw.writableEnded ? String(reply.raw.statusCode) : '499' })
        seconds.observe({ method, route }, (performance.now() - startedAt) / 1000)
      })
      done()
    })
  },
  { name: 'request-metrics', fastify: '5.x' },
)
