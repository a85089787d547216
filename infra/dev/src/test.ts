import { constants } from 'node:os'
import { pc } from './colors.ts'
import { provideServers } from '@hypercode/local-stack'
import type { Tally } from './checks.ts'
import { STATIC_CHECKS, runCheck, runTests } from './checks.ts'
import { COMPOSE_FILE, serverFolders } from './checkout.ts'
import { err, out, seconds } from './console.ts'
import { onEnd } from './graceful-end.ts'

// `npm test [-- FILTER...]`: everything that can be checked, one after the other, whatever fails before. The last line is
// `N passed, N failed`.
const end = onEnd((signal) => process.exit(128 + constants.signals[signal]))

const total = { passed: 0, failed: 0 }
const count = (name: string, { passed, failed }: Tally, ms: number, output: string): void => {
  total.passed += passed
  total.failed += failed
  out(`${failed === 0 ? pc.green('✔') : pc.red('✖')} ${name} ${pc.dim(`(${seconds(ms)})`)}`)
  if (failed > 0 && output !== '') out(output)
}

// Fetched once, so that the tests need not wait for each other with it, and while the checks run that need no server.
const { runtimeDir, moved } = serverFolders()
if (moved !== undefined) err(moved)
const servers = provideServers({ runtimeDir, composeFile: COMPOSE_FILE, log: err, signal: end.signal }).then(
  () => ({ passed: 0, failed: 0, output: '' }),
  (error: unknown) => ({ passed: 0, failed: 1, output: error instanceof Error ? error.message : String(error) }),
)
for (const check of STATIC_CHECKS) await timed(check.name, async () => await runCheck(check, end.signal))
await timed('servers', async () => await servers)
await timed('tests', async () => ({ ...(await runTests(process.argv.slice(2), end.signal)), output: '' }))

const cause = end.cause()
if (cause !== undefined) process.exit(cause === 'parent gone' ? 1 : 128 + constants.signals[cause])
out(`${total.passed} passed, ${total.failed} failed`)
process.exit(total.failed === 0 ? 0 : 1)

/** Runs one part; one that cannot even be run counts as failed, and the next one has its turn all the same. */
async function timed(name: string, run: () => Promise<Tally & { output: string }>): Promise<void> {
  if (end.signal.aborted) return
  const from = performance.now()
  try {
    const result = await run()
    count(name, result, performance.now() - from, result.output)
  } catch (error) {
    if (end.signal.aborted) return
    count(
      name,
      { passed: 0, failed: 1 },
      performance.now() - from,
      error instanceof Error ? error.message : String(error),
    )
  }
}
