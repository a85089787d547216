import { startStack } from '../src/index.ts'

// A process that starts a stack and then does nothing, so that a test can kill it. `up <json>` when it is up;
// `stop` on its input stops it.
const options: unknown = JSON.parse(process.argv[2] ?? '{}')
if (typeof options !== 'object' || options === null || !('dir' in options) || typeof options.dir !== 'string') {
  throw new TypeError('the first argument must be the options as JSON')
}
try {
  const { dir } = options
  const stack = await startStack({ durable: false, ...options, dir })
  process.stdout.write(`up ${JSON.stringify({ pids: stack.pids, ports: stack.ports, reattached: stack.reattached })}\n`)
  for await (const chunk of process.stdin) if (String(chunk).includes('stop')) break
  await stack.stop()
  process.stdout.write('stopped\n')
  process.exit(0)
} catch (error) {
  process.stdout.write(`failed ${error instanceof Error ? `${error.name}: ${error.message}` : String(error)}\n`)
  process.exit(1)
}
