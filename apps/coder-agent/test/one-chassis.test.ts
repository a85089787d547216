import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const repository = fileURLToPath(new URL('../../../', import.meta.url))
/** The test kit aside: it is a part of no process that is deployed. */
const sources = globSync('{apps,packages}/*/src/**/*.ts', {
  cwd: repository,
  exclude: (path) => /node_modules|\/dist\/|^packages\/testkit\//.test(path),
}).map((file) => ({ file, text: readFileSync(join(repository, file), 'utf8') }))

const filesWith = (pattern: RegExp): string[] =>
  sources
    .filter(({ text }) => pattern.test(text))
    .map(({ file }) => file)
    .toSorted((a, b) => (a < b ? -1 : 1))

// Goal: agents are agents by the one chassis, and bring no server, heartbeat or logger of their own.
// Method: every source file of the repository is searched for what makes one.
test('there is one HTTP server, one heartbeat and one logger in the tree', () => {
  expect(sources.length).toBeGreaterThan(300)
  const http = /^import (?!type).*\b(?:fastify\b.* from 'fastify'|from '(?:express|koa|hono)')/m
  // The gateway renders its reference page with plugins for Fastify, in memory: nothing listens there.
  expect(filesWith(http)).toEqual(['apps/gateway/src/routes/docs.ts', 'packages/http/src/create-service.ts'])
  expect(filesWith(/\.listen\(/)).not.toContain('apps/gateway/src/routes/docs.ts')
  expect(filesWith(/^import (?!type)[^;]*?\bcreateServer\b[^;]*?from '(?:node:)?https?'/m)).toEqual([])
  expect(filesWith(/^import (?!type).*from '(?:pino|winston|bunyan)'/m)).toEqual([
    'packages/telemetry/src/create-logger.ts',
  ])
  // Who sends beats, and the two that take them: the registry, and the fake of the testing entry.
  expect(filesWith(/\bROUTES\.heartbeatAgent\b/)).toEqual([
    'apps/agent-registry/src/routes/heartbeat.ts',
    'packages/base-agent/src/runtime.ts',
    'packages/base-agent/src/testing/fake-routes.ts',
  ])
  expect(filesWith(/\bnew BeatLoop\(/)).toEqual(['packages/base-agent/src/heartbeat/heartbeat-worker.ts'])
})

test.each(['auditor-agent', 'coder-agent'])('%s is made by defineAgent and served by serve', (app) => {
  expect(
    filesWith(/^export .*\bdefineAgent\(|return defineAgent\(/m).filter((file) => file.startsWith(`apps/${app}/`)),
  ).toEqual([`apps/${app}/src/agent.ts`])
  const server = sources.find(({ file }) => file === `apps/${app}/src/server.ts`)?.text ?? ''
  expect(server).toMatch(/import \{ serve \} from '@hypercode\/base-agent'/)
  expect(server).toMatch(/await serve\(\w+\)/)
})
