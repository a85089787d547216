/**
 * `npm run chaos -- [--seconds N] [--seed S] [--only R3,R4]`: breaks a whole platform in every way that there is and prints one JSON
 * line for each goal. Exit 1 on a violation, a bar that is not kept or a run that proved nothing, 2 when it cannot be run.
 */
import { parseArgs } from 'node:util'
import { runStorms, stormNames } from './storms.ts'

const EXIT_SHORT = 1
const EXIT_BROKEN = 2
const DEFAULT_S = 120

try {
  const text = { type: 'string' } as const
  const { values } = parseArgs({ options: { seconds: text, seed: text, only: text } })
  const seconds = Number(values.seconds ?? DEFAULT_S)
  const seed = Number(values.seed ?? Math.floor(Math.random() * 1e9))
  const only = values.only?.split(',') ?? []
  const unknown = only.filter((name) => !stormNames().includes(name))
  if (!(seconds > 0) || !Number.isSafeInteger(seed)) throw new TypeError('--seconds and --seed take numbers')
  if (unknown.length > 0) throw new TypeError(`there is no ${unknown.join(', ')}; known are ${stormNames().join(', ')}`)
  const ok = await runStorms({
    seconds,
    seed,
    only,
    log: (line) => process.stderr.write(`${line}\n`),
    onReport: (report) => process.stdout.write(`${JSON.stringify(report)}\n`),
  })
  process.exit(ok ? 0 : EXIT_SHORT)
} catch (error) {
  process.stderr.write(`chaos: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
  process.exit(EXIT_BROKEN)
}
