/** `npm run bench:peers [-- ARGUMENTS]`: the benchmark against peers; `infra/bench/README.md` tells the rest. */
import { constants } from 'node:os'
import { onEnd } from '../graceful-end.ts'
import { runPeers } from './run-peers.ts'

const EXIT_BROKEN = 2

const end = onEnd((signal) => process.exit(128 + constants.signals[signal]))
try {
  const code = await runPeers({ args: process.argv.slice(2), ownsStdout: true, signal: end.signal })
  const cause = end.cause()
  process.exit(cause === undefined || cause === 'parent gone' ? code : 128 + constants.signals[cause])
} catch (error) {
  process.stderr.write(`bench:peers: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exit(EXIT_BROKEN)
}
