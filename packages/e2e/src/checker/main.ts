/**
 * `node --conditions=@hypercode/source packages/e2e/src/checker/main.ts --directUrl URL [--redisUrl URL] [--sink FILE] [--history FILE]
 * [--quietMs N]`: prints every broken invariant with ids, one JSON line each. Exit 0 when all hold, 1 when not, 2 when it cannot look.
 */
import { parseArgs } from 'node:util'
import { check } from './check.ts'

const EXIT_BROKEN_SET_UP = 2

try {
  const text = { type: 'string' } as const
  const { values } = parseArgs({
    options: { directUrl: text, redisUrl: text, sink: text, history: text, quietMs: text },
  })
  if (values.directUrl === undefined)
    throw new TypeError('--directUrl URL is needed: straight to Postgres, as its owner')
  const quietMs = values.quietMs === undefined ? undefined : Number(values.quietMs)
  const broken = await check({
    directUrl: values.directUrl,
    streams: values.redisUrl === undefined ? undefined : { url: values.redisUrl, complete: false },
    sinkFile: values.sink,
    historyFile: values.history,
    rest: quietMs === undefined ? undefined : { quietMs, sweepMs: 1000, leaseMs: 15_000 },
  })
  for (const one of broken) process.stdout.write(`${JSON.stringify(one)}\n`)
  process.exit(broken.length === 0 ? 0 : 1)
} catch (error) {
  process.stderr.write(`checker: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exit(EXIT_BROKEN_SET_UP)
}
