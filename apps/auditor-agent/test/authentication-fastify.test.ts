import { describe, expect, test } from 'vitest'
import { dedent } from './support/repository.ts'
import { openRoutes } from './authentication-rows.ts'
import type { Row } from './authentication-rows.ts'

const fastify = (name: string, code: string, ...found: string[]): Row => ({
  name: `Fastify: ${name}`,
  files: { 'src/app.ts': `import Fastify from 'fastify'\nconst app = Fastify()\n${dedent(code)}` },
  found,
})

const GUARD = `
import fp from 'fastify-plugin'
export const requireScopes = fp(async (app) => {
  app.addHook('onRequest', async (request) => {
    const scopes = request.routeOptions.config.scopes
    if (scopes === undefined) return
    await request.jwtVerify()
  })
})
`

const ROWS: readonly Row[] = [
  fastify(
    'a route',
    "app.post('/agents/register', async (request, reply) => {\n  return 1\n})\napp.get('/agents', async () => [])\n",
    'P0 high POST /agents/register src/app.ts:3',
  ),
  fastify(
    'a route as an object',
    "app.route({\n  method: ['GET', 'PATCH'],\n  url: '/x',\n  handler: async () => 1,\n})\n",
    'P0 high PATCH /x src/app.ts:3',
  ),
  fastify(
    'options without a guard',
    "app.delete('/x', { schema: { body: X }, preHandler: rateLimit }, async () => 1)\n",
    'P0 high DELETE /x src/app.ts:3',
  ),
  fastify(
    'a type provider in between',
    "const typed = Fastify().withTypeProvider<T>()\ntyped.put<{ Body: B }>('/x', async () => 1)\n",
    'P0 high PUT /x src/app.ts:4',
  ),
  fastify(
    'a hook that guards nothing',
    "app.addHook('onRequest', async (request) => { request.startedAt = now() })\napp.post('/x', async () => 1)\n",
    'P0 high POST /x src/app.ts:4',
  ),
  fastify(
    'scopes without anybody who checks them',
    "app.post('/x', { config: { scopes: ['a'] } }, async () => 1)\n",
    'P0 high POST /x src/app.ts:3',
  ),
  fastify(
    '@fastify/jwt alone guards nothing',
    "import jwt from '@fastify/jwt'\napp.register(jwt, { secret: key })\napp.post('/x', async () => 1)\n",
    'P0 high POST /x src/app.ts:5',
  ),
  {
    name: 'Fastify: a guard in one plugin does not reach its neighbour',
    files: {
      'src/app.ts':
        "import Fastify from 'fastify'\nimport open from './open.ts'\nimport closed from './closed.ts'\nconst app = Fastify()\napp.register(closed)\napp.register(open, { prefix: '/v1' })\n",
      'src/open.ts':
        "import type { FastifyInstance } from 'fastify'\nexport default async function (app: FastifyInstance) {\n  app.post('/x', async () => 1)\n}\n",
      'src/closed.ts':
        "import type { FastifyInstance } from 'fastify'\nexport default async function (app: FastifyInstance) {\n  app.addHook('onRequest', app.authenticate)\n  app.post('/y', async () => 1)\n}\n",
    },
    found: ['P0 high POST /v1/x src/open.ts:3'],
  },
  {
    name: 'Fastify: a route without scopes under an opt-in guard',
    files: {
      'src/app.ts':
        "import Fastify from 'fastify'\nimport { requireScopes } from './require-scopes.ts'\nconst app = Fastify()\napp.register(requireScopes)\napp.post('/x', async () => 1)\napp.post('/y', { config: { scopes: ['a'] } }, async () => 1)\napp.post('/z', { config: { public: true } }, async () => 1)\n",
      'src/require-scopes.ts': GUARD,
    },
    found: ['P0 high POST /x src/app.ts:5'],
  },

  fastify('preHandler', "app.post('/x', { preHandler: [app.authenticate] }, async () => 1)\n"),
  fastify(
    'onRequest of a route object',
    "app.route({ method: 'POST', url: '/x', onRequest: verifyToken, handler: async () => 1 })\n",
  ),
  fastify('@fastify/auth', "app.post('/x', { preHandler: app.auth([app.verifyJWT]) }, async () => 1)\n"),
  fastify(
    'a hook of the application',
    "app.addHook('onRequest', async (request) => { await request.jwtVerify() })\napp.post('/x', async () => 1)\n",
  ),
  fastify(
    'a hook that refuses, whatever it is called',
    "async function door(request, reply) {\n  if (!request.headers.x) return reply.code(401).send()\n}\napp.addHook('preHandler', door)\napp.post('/x', async () => 1)\n",
  ),
  fastify('the handler verifies', "app.post('/x', async (request) => {\n  await request.jwtVerify()\n  return 1\n})\n"),
  fastify(
    'a plugin in place with a hook',
    "app.register(async (scope) => {\n  scope.addHook('onRequest', requireUser)\n  scope.post('/x', async () => 1)\n})\n",
  ),
  fastify(
    '@fastify/bearer-auth',
    "import bearer from '@fastify/bearer-auth'\napp.register(bearer, { keys })\napp.post('/x', async () => 1)\n",
  ),
  fastify(
    'log in and health',
    "app.post('/login', async () => 1)\napp.post('/v1/oauth/token', async () => 1)\napp.post('/healthz', async () => 1)\n",
  ),
  {
    name: 'Fastify: every route must declare scopes, or the boot stops',
    files: {
      'src/app.ts':
        "import Fastify from 'fastify'\nimport { requireScopes } from './require-scopes.ts'\nimport routes from './routes.ts'\nconst app = Fastify()\napp.register(requireScopes)\napp.register(routes)\n",
      'src/require-scopes.ts': GUARD.replace(
        "app.addHook('onRequest'",
        "app.addHook('onRoute', (route) => {\n    if (route.config?.scopes === undefined) throw new Error(route.url)\n  })\n  app.addHook('onRequest'",
      ),
      'src/routes.ts':
        "export default async function (app) {\n  app.post('/x', { config: POLICY }, async () => 1)\n}\n",
    },
    found: [],
  },
  {
    name: 'Fastify: a plugin that shares its hooks, in another file',
    files: {
      'src/app.ts':
        "import Fastify from 'fastify'\nimport door from './plugins/door.js'\nimport routes from './routes/index.js'\nexport function build() {\n  const app = Fastify()\n  app.register(door)\n  app.register(routes, { prefix: '/v1' })\n  return app\n}\n",
      'src/plugins/door.ts':
        "import fp from 'fastify-plugin'\nexport default fp(async function door(fastify) {\n  fastify.addHook('preHandler', async (request, reply) => {\n    if (!request.user) throw fastify.httpErrors.unauthorized()\n  })\n})\n",
      'src/routes/index.ts':
        "import items from './items.js'\nexport default async function routes(fastify) {\n  fastify.register(items)\n}\n",
      'src/routes/items.ts':
        "import type { FastifyPluginAsync } from 'fastify'\nconst items: FastifyPluginAsync = async (fastify) => {\n  fastify.post('/items', async () => 1)\n}\nexport default items\n",
    },
    found: [],
  },
  {
    name: 'Fastify: autoload',
    files: {
      'src/app.ts':
        "import Fastify from 'fastify'\nimport AutoLoad from '@fastify/autoload'\nconst app = Fastify()\napp.register(AutoLoad, { dir: join(import.meta.dirname, 'plugins') })\napp.register(AutoLoad, { dir: join(import.meta.dirname, 'routes') })\n",
      'src/plugins/door.ts':
        "import fp from 'fastify-plugin'\nexport default fp(async (app) => {\n  app.addHook('onRequest', (request) => request.jwtVerify())\n})\n",
      'src/routes/items.ts': "export default async function (app) {\n  app.post('/items', async () => 1)\n}\n",
    },
    found: [],
  },
]

describe('authentication in TypeScript and JavaScript', () => {
  test.each(ROWS)('$name', async ({ files, found }) => {
    expect(await openRoutes(files)).toEqual(found)
  })
})
