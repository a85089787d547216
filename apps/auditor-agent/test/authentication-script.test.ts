import { describe, expect, test } from 'vitest'
import { dedent } from './support/repository.ts'
import { openRoutes } from './authentication-rows.ts'
import type { Row } from './authentication-rows.ts'

const express = (name: string, code: string, ...found: string[]): Row => ({
  name: `Express: ${name}`,
  files: { 'src/app.ts': `import express from 'express'\nconst app = express()\n${dedent(code)}` },
  found,
})

const nest = (name: string, code: string, ...found: string[]): Row => ({
  name: `Nest: ${name}`,
  files: { 'src/items.controller.ts': `import { Controller, Post } from '@nestjs/common'\n${dedent(code)}` },
  found,
})

const ROWS: readonly Row[] = [
  express('a route', "app.post('/x', (req, res) => { res.json({}) })\n", 'P0 high POST /x src/app.ts:3'),
  express(
    'middleware that guards nothing',
    "app.use(express.json())\napp.use(cors())\napp.put('/x', upload.single('file'), validate(schema), async (req, res) => {})\n",
    'P0 high PUT /x src/app.ts:5',
  ),
  express(
    'a guard that comes too late',
    "app.post('/x', create)\napp.use(requireAuth)\n",
    'P0 high POST /x src/app.ts:3',
  ),
  express(
    'a guard of another path',
    "app.use('/admin', requireAuth)\napp.post('/items', create)\n",
    'P0 high POST /items src/app.ts:4',
  ),
  express(
    'a chain',
    "const router = express.Router()\nrouter.route('/x').get(list).post(create)\napp.use('/v1', router)\n",
    'P0 high POST /v1/x src/app.ts:4',
  ),
  express(
    'passport that is only set up',
    "app.use(passport.initialize())\napp.use(passport.session())\napp.post('/x', create)\n",
    'P0 high POST /x src/app.ts:5',
  ),
  express(
    'a schema of a log-in',
    "app.post('/x', validate(loginSchema), adminController.create)\n",
    'P0 medium POST /x src/app.ts:3',
  ),
  express(
    'routes about authentication',
    "import authRoutes from '@acme/auth-routes'\napp.use(authRoutes)\napp.post('/x', create)\n",
    'P0 high POST /x src/app.ts:5',
  ),
  express(
    'a handler out of sight that may look at the session',
    "import { items } from '@acme/items'\napp.use(loadMemberSession)\napp.post('/x', items.create)\n",
    'P1 low POST /x src/app.ts:5',
  ),
  {
    name: 'Express: a router in another file, CommonJS',
    files: {
      'app.js':
        "const express = require('express')\nconst app = express()\napp.use('/items', require('./routes/items'))\n",
      'routes/items.js':
        "const router = require('express').Router()\nrouter.delete('/:id', (req, res) => res.end())\nmodule.exports = router\n",
    },
    found: ['P0 high DELETE /items/:id routes/items.js:2'],
  },
  {
    name: 'Express: mounted twice, once in the open',
    files: {
      'src/app.ts':
        "import express from 'express'\nimport { items } from './items'\nconst app = express()\napp.use('/a', auth, items)\napp.use('/b', items)\n",
      'src/items.ts': "import { Router } from 'express'\nexport const items = Router()\nitems.post('/', create)\n",
    },
    found: ['P0 high POST /a/ src/items.ts:3'],
  },
  express(
    'a webhook without a signature',
    "app.post('/webhooks/github', (req, res) => res.end())\n",
    'P1 medium POST /webhooks/github src/app.ts:3',
  ),

  express(
    'middleware of the route',
    "app.post('/x', requireAuth, create)\napp.put('/y', [passport.authenticate('jwt')], create)\napp.delete('/z', auth.required, create)\n",
  ),
  express(
    'middleware that refuses, whatever it is called',
    "const door = (req, res, next) => {\n  if (!req.headers.x) return res.status(401).end()\n  next()\n}\napp.post('/x', door, create)\n",
  ),
  express('a guard before everything', "app.use(expressjwt({ secret, algorithms }))\napp.post('/x', create)\n"),
  express(
    'a guard in place',
    "app.use((req, res, next) => {\n  if (!ok(req)) return res.sendStatus(403)\n  next()\n})\napp.post('/x', create)\n",
  ),
  express('a guard of the path', "app.use('/api', requireAuth)\napp.post('/api/items', create)\n"),
  express(
    'the handler refuses',
    "app.post('/x', async (req, res) => {\n  const user = await session(req)\n  if (!user) return res.status(401).json({})\n})\n",
  ),
  express('a wrapper around a guard', "app.post('/x', asyncHandler(requireUser), create)\n"),
  express(
    'a chain with a guard',
    "const router = express.Router()\nrouter.use(authenticate)\nrouter.route('/x').get(list).post(create)\napp.use('/v1', router)\n",
  ),
  express(
    'a client is no router',
    "const api = axios.create()\nawait api.post('/users', data)\nclient.delete('/x', options)\n",
  ),
  express(
    'a webhook with a signature',
    "app.post('/webhooks/stripe', (req, res) => {\n  stripe.webhooks.constructEvent(req.body, sig, key)\n})\n",
  ),
  {
    name: 'Express: a guard in another file refuses',
    files: {
      'src/app.ts':
        "import express from 'express'\nimport { front } from './middleware'\nimport items from './items.routes'\nconst app = express()\napp.use('/items', front, items)\n",
      'src/middleware.ts':
        "import type { Request } from 'express'\nexport function front(req, res, next) {\n  try {\n    jwt.verify(token(req), key)\n    next()\n  } catch (error) {\n    res.status(401).json({ error })\n  }\n}\n",
      'src/items.routes.ts':
        "import { Router } from 'express'\nconst router = Router()\nrouter.post('/', create)\nexport default router\n",
    },
    found: [],
  },
  {
    name: 'Express: a factory of a router, and routes(app)',
    files: {
      'src/app.ts':
        "import express from 'express'\nimport { createItems } from './items'\nimport routes from './routes'\nconst app = express()\napp.use(requireAuth)\napp.use('/items', createItems(service))\nroutes(app)\n",
      'src/items.ts':
        "import { Router } from 'express'\nexport function createItems(service) {\n  const router = Router()\n  router.post('/', (req, res) => res.end())\n  return router\n}\n",
      'src/routes.ts': "export default (app) => {\n  app.post('/x', (req, res) => res.end())\n}\n",
    },
    found: [],
  },
  {
    name: 'Express: middleware is set up by a function before the routes',
    files: {
      'src/app.ts':
        "import express from 'express'\nimport { setup } from './setup'\nconst app = express()\nsetup(app)\napp.post('/x', create)\n",
      'src/setup.ts': 'export function setup(app) {\n  app.use(helmet())\n  app.use(requireAuth)\n}\n',
    },
    found: [],
  },
  {
    name: 'Express: routers of an index, mounted once',
    files: {
      'src/app.ts':
        "import express from 'express'\nimport * as routes from './routes'\nconst app = express()\napp.use('/users', requireAuth, routes.users)\n",
      'src/routes/index.ts': "export { default as users } from './users'\n",
      'src/routes/users.ts':
        "import { Router } from 'express'\nconst router = Router()\nrouter.patch('/:id', update)\nexport default router\n",
    },
    found: [],
  },
  {
    name: 'Hono: middleware of the route and of the application',
    files: {
      'src/app.ts':
        "import { Hono } from 'hono'\nconst app = new Hono()\napp.post('/a', bearerAuth({ token }), (c) => c.json({}))\napp.post('/b', (c) => c.json({}))\napp.use('*', jwt({ secret }))\napp.post('/c', (c) => c.json({}))\n",
    },
    found: ['P0 medium POST /b src/app.ts:4'],
  },
  {
    name: 'tests',
    files: {
      'test/app.test.ts': "import Fastify from 'fastify'\nconst app = Fastify()\napp.post('/x', async () => 1)\n",
    },
    found: [],
  },

  nest(
    'a method',
    "@Controller('items')\nexport class ItemsController {\n  @Get()\n  list() {}\n  @Post(':id/open')\n  @HttpCode(200)\n  open(@Param('id') id: string) {}\n}\n",
    'P0 high POST /items/:id/open src/items.controller.ts:6',
  ),
  nest(
    'a guard that guards nothing',
    "@UseGuards(ThrottlerGuard)\n@Controller('items')\nexport class ItemsController {\n  @Delete(':id') remove() {}\n}\n",
    'P0 high DELETE /items/:id src/items.controller.ts:5',
  ),
  nest(
    'a label without a guard',
    "@Controller('items')\nexport class ItemsController {\n  @ApiBearerAuth()\n  @Roles('admin')\n  @Put() replace() {}\n}\n",
    'P0 high PUT /items src/items.controller.ts:4',
  ),
  nest(
    'a mutation',
    '@Resolver()\nexport class Items {\n  @Mutation(() => Item)\n  createItem() {}\n}\n',
    'P0 high MUTATION createItem src/items.controller.ts:4',
  ),
  nest(
    'a guard of the class',
    "@Controller('items')\n@UseGuards(JwtAuthGuard)\nexport class ItemsController {\n  @Post() create() {}\n}\n",
  ),
  nest(
    'a guard of the method',
    "@Controller('items')\nexport class ItemsController {\n  @UseGuards(AuthGuard('jwt'), RolesGuard)\n  @Post()\n  create() {}\n}\n",
  ),
  nest(
    'a public method and a log-in',
    "@Controller('auth')\nexport class AuthController {\n  @Post('login') login() {}\n  @Public()\n  @Post('anything') anything() {}\n}\n",
  ),
  {
    name: 'Nest: APP_GUARD',
    files: {
      'src/app.module.ts':
        "import { APP_GUARD } from '@nestjs/core'\n@Module({ providers: [{ provide: APP_GUARD, useClass: JwtAuthGuard }] })\nexport class AppModule {}\n",
      'src/items.controller.ts': "@Controller('items')\nexport class ItemsController {\n  @Post() create() {}\n}\n",
    },
    found: [],
  },
  {
    name: 'Nest: useGlobalGuards',
    files: {
      'src/main.ts':
        "import { NestFactory } from '@nestjs/core'\nconst app = await NestFactory.create(AppModule)\napp.useGlobalGuards(new JwtAuthGuard(reflector))\n",
      'src/items.controller.ts': "@Controller('items')\nexport class ItemsController {\n  @Post() create() {}\n}\n",
    },
    found: [],
  },
  {
    name: 'Nest: a composed decorator and a base class',
    files: {
      'src/members.ts':
        'export function Members() {\n  return applyDecorators(UseGuards(JwtAuthGuard), ApiBearerAuth())\n}\n',
      'src/base.ts': '@UseGuards(JwtAuthGuard)\nexport abstract class Guarded {}\n',
      'src/a.controller.ts': "@Controller('a')\n@Members()\nexport class A {\n  @Post() create() {}\n}\n",
      'src/b.controller.ts': "@Controller('b')\nexport class B extends Guarded {\n  @Post() create() {}\n}\n",
    },
    found: [],
  },
]

describe('authentication in TypeScript and JavaScript', () => {
  test.each(ROWS)('$name', async ({ files, found }) => {
    expect(await openRoutes(files)).toEqual(found)
  })
})
