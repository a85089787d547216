import type { Readiness } from '@hypercode/contracts'
import type { Metrics } from '@hypercode/telemetry'
import type { FastifyBaseLogger } from 'fastify'
import fp from 'fastify-plugin'
import { openapiDocument } from './openapi.ts'
import type {} from './service-app.ts'

/** Resolves when all is well. */
export type Check = () => Promise<void> | void

/** A check that is shown but does not decide: the service goes on without what it asks, only not as well. */
export interface OptionalCheck {
  readonly critical: false
  readonly run: Check
}

/** Thrown by a check whose text /readyz may show; of other errors it shows the code alone. */
export class CheckError extends Error {
  override readonly name = 'CheckError'
}

interface HealthOptions {
  readonly name: string
  readonly version: string
  readonly metrics: Metrics
  /** Are there tokens to ask for? */
  readonly guarded: boolean
  readonly checks: Readonly<Record<string, Check | OptionalCheck>>
  readonly checkTimeoutMs: number
  readonly title: string
}

/** /livez asks nobody. /readyz asks every check, all at once and with a time limit. /metrics needs metrics:read where there are tokens. */
export const health = fp<HealthOptions>(
  async (app, { name, version, metrics, guarded, checks, checkTimeoutMs, title }) => {
    const open = { public: true, whileDraining: true } as const
    let running: Promise<Readiness> | undefined
    let document: string | undefined

    // Callers that come together share one round of checks: the route is public and must not multiply load.
    const readiness = (): Promise<Readiness> =>
      (running ??= runChecks(name, checks, checkTimeoutMs, app.log).finally(() => (running = undefined)))

    app.get('/livez', { config: open }, () => ({ alive: true, service: name, version }))

    app.get('/readyz', { config: { ...open, longLived: true } }, async (_request, reply) => {
      const result = await readiness()
      const ready = result.ready && !app.drainSignal.aborted
      const checked = app.drainSignal.aborted ? { ...result.checks, draining: { ok: false } } : result.checks
      return reply
        .code(ready ? 200 : 503)
        .header('cache-control', 'no-store')
        .send({ ...result, ready, checks: checked })
    })

    const metricsConfig = guarded ? ({ scopes: ['metrics:read'], whileDraining: true } as const) : open
    app.get('/metrics', { config: metricsConfig }, async (_request, reply) =>
      reply.type(metrics.contentType).send(await metrics.render()),
    )

    app.get('/openapi.json', { config: { public: true } }, (_request, reply) => {
      document ??= JSON.stringify(openapiDocument(app.implemented, { title, version }))
      return reply.type('application/json').send(document)
    })
  },
  { name: 'health', fastify: '5.x' },
)

async function runChecks(
  service: string,
  checks: Readonly<Record<string, Check | OptionalCheck>>,
  timeoutMs: number,
  log: FastifyBaseLogger,
): Promise<Readiness> {
  const results = await Promise.all(
    Object.entries(checks).map(async ([name, check]): Promise<[string, Readiness['checks'][string]]> => {
      const startedAt = performance.now()
      try {
        await within(timeoutMs, typeof check === 'function' ? check : check.run)
        return [name, { ok: true, ms: since(startedAt) }]
      } catch (err) {
        log.warn({ check: name, err }, 'check failed')
        return [name, { ok: false, ms: since(startedAt), detail: detailOf(err) }]
      }
    }),
  )
  const ready = results.every(([name, { ok }]) => ok || typeof checks[name] !== 'function')
  return { ready, service, checks: Object.fromEntries(results) }
}

const since = (startedAt: number): number => Math.round((performance.now() - startedAt) * 10) / 10

async function within(timeoutMs: number, check: Check): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new CheckError(`no answer within ${timeoutMs} ms`)), timeoutMs)
  })
  try {
    await Promise.race([(async () => await check())(), late])
  } finally {
    clearTimeout(timer)
  }
}

function detailOf(error: unknown): string {
  if (error instanceof CheckError) return error.message
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code
  return 'failed'
}
