/**
 * `npm run bench:peers`: the four workloads on us and on what people use today, one after the other on this machine, three rounds. Progress
 * goes to stderr, the table to stdout. Exit 1 when a contender did not get through, 2 when it could not be begun.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { drawChart } from './chart.ts'
import { describeMachine, loadNow } from './machine.ts'
import { USAGE, isComplete, readOptions } from './options.ts'
import type { Options } from './options.ts'
import { judge, summarize } from './results.ts'
import type { Results } from './results.ts'
import { measureRounds } from './rounds.ts'
import { describeResults, replaceResults } from './table.ts'

const HOME = path.resolve(import.meta.dirname, '..')
const EXIT_INCOMPLETE = 1
const EXIT_BROKEN = 2

const options = parse(process.argv.slice(2))
const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop.abort())
process.once('disconnect', () => stop.abort())
const limit = setTimeout(() => stop.abort(), options.minutes * 60_000)

const log = (line: string): void => void process.stderr.write(`${line}\n`)
const measuredAt = new Date().toISOString()
const loadBefore = loadNow()
const { gathered, failures } = await measureRounds(options, stop.signal, log)
clearTimeout(limit)
const entries = gathered.map(summarize)
const { rounds, share } = options
const machine = describeMachine(loadBefore)
const results: Results = { measuredAt, machine, rounds, share, entries, verdict: judge(entries) }
const isWhole = failures.length === 0
if (options.out !== undefined && isWhole) await writeResults(path.resolve(options.out), results)
if (isComplete(options) && isWhole) await publish(results)
process.stdout.write(`${describeResults(results)}\n`)
for (const failure of failures) log(`bench:peers: ${failure}`)
process.exit(isWhole ? 0 : EXIT_INCOMPLETE)

function parse(args: readonly string[]): Options {
  try {
    return readOptions(args)
  } catch (error) {
    process.stderr.write(`bench:peers: ${error instanceof Error ? error.message : String(error)}\n\n${USAGE}\n`)
    process.exit(EXIT_BROKEN)
  }
}

async function writeResults(folder: string, measured: Results): Promise<string> {
  mkdirSync(folder, { recursive: true })
  const file = path.join(folder, 'latest.json')
  writeFileSync(file, `${JSON.stringify(measured, null, 2)}\n`)
  writeFileSync(path.join(folder, 'latest.svg'), `${await drawChart(measured)}\n`)
  return file
}

/** What is committed: results, chart, and the part of the README that tells them. */
async function publish(measured: Results): Promise<void> {
  const file = await writeResults(path.join(HOME, 'results'), measured)
  // As the rest of the repository is formatted.
  spawnSync('biome', ['format', '--write', file], { stdio: 'ignore' })
  const readme = path.join(HOME, 'README.md')
  writeFileSync(readme, replaceResults(readFileSync(readme, 'utf8'), describeResults(measured)))
}
