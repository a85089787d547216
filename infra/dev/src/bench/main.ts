/** `npm run bench -- P1 [P2 …]`: measures workloads on the built services and prints one JSON line for each. */
import { startRig } from './rig.ts'
import { p1, p2, p3, p4 } from './workloads.ts'

const WORKLOADS = { P1: p1, P2: p2, P3: p3, P4: p4 } as const
const EXIT_BROKEN = 2

const asked = process.argv.slice(2)
const names = asked.length === 0 ? Object.keys(WORKLOADS) : asked
const unknown = names.filter((name) => !Object.hasOwn(WORKLOADS, name))
if (unknown.length > 0) {
  process.stderr.write(`bench: there is no ${unknown.join(', ')}; known are ${Object.keys(WORKLOADS).join(', ')}\n`)
  process.exit(EXIT_BROKEN)
}

try {
  for (const name of names as (keyof typeof WORKLOADS)[]) {
    const rig = await startRig()
    try {
      const { more, ...measured } = await WORKLOADS[name](rig)
      process.stdout.write(`${JSON.stringify({ name, ...measured, ...more })}\n`)
    } finally {
      await rig.stop()
    }
  }
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
  process.exit(EXIT_BROKEN)
}
process.exit(0)
