import helmet from '@fastify/helmet'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import { AppError } from '@hypercode/http'
import type { ServiceApp } from '@hypercode/http'
import { fastify } from 'fastify'
import type { FastifyInstance } from 'fastify'

const PREFIX = '/docs'

/**
 * The reference page at /docs, made from the OpenAPI document: works offline, asks nobody outside, runs no inline script. The plugins that
 * make it register routes of their own, without a policy; so they live in an instance of their own that is asked in process, and
 * the gateway has the two routes that are seen here.
 */
export function docsRoutes(app: ServiceApp, document: () => Record<string, unknown>): void {
  let page: Promise<FastifyInstance> | undefined
  app.addHook('onClose', async () => {
    if (page !== undefined) await (await page).close()
  })

  for (const url of [PREFIX, `${PREFIX}/*`]) {
    app.get(url, { config: { public: true } }, async (request, reply) => {
      page ??= buildPage(document())
      const answer = await (await page).inject({ method: 'GET', url: request.raw.url ?? PREFIX })
      if (answer.statusCode >= 400) throw new AppError('not_found')
      for (const [name, value] of Object.entries(answer.headers)) {
        if (value !== undefined && name !== 'connection' && name !== 'date') reply.header(name, value)
      }
      return reply.code(answer.statusCode).send(answer.rawPayload)
    })
  }
}

async function buildPage(document: Record<string, unknown>): Promise<FastifyInstance> {
  const page = fastify({ logger: false })
  await page.register(helmet, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        'default-src': ["'none'"],
        'base-uri': ["'none'"],
        'connect-src': ["'self'"],
        'font-src': ["'self'"],
        'form-action': ["'none'"],
        'frame-ancestors': ["'none'"],
        'img-src': ["'self'", 'data:'],
        'script-src': ["'self'"],
        'style-src': ["'self'", "'unsafe-inline'"],
      },
    },
    // Whether there is TLS in front is not known here.
    strictTransportSecurity: false,
  })
  await page.register(swagger, { mode: 'static', specification: { document: document as never } })
  await page.register(swaggerUi, {
    routePrefix: PREFIX,
    uiConfig: { validatorUrl: null, deepLinking: true, displayRequestDuration: true, tryItOutEnabled: false },
    theme: { title: 'HyperCode API' },
  })
  await page.ready()
  return page
}
