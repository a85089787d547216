/**
 * `npm run sim -- --seeds N [--seed FROM] [--events N]` runs seeds, `--seed S --trace` shows the course of one, `--mutants [NAME]` shows
 * that faults in the core are found. Progress goes to stderr, one JSON line to stdout. Exit 1 after a violation or a mutant that survived.
 */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { MUTANTS, huntMutant, runSeeds, traceSeed } from './index.ts'

const EXIT_FOUND = 1
const EXIT_USAGE = 2
const MUTANT_SEEDS = 1000

const say = (line: string): void => void process.stderr.write(`${line}\n`)
const print = (result: object): void => void process.stdout.write(`${JSON.stringify(result)}\n`)

/** Answers the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      seeds: { type: 'string' },
      seed: { type: 'string' },
      events: { type: 'string', default: '500' },
      workers: { type: 'string', default: String(availableParallelism()) },
      trace: { type: 'boolean', default: false },
      mutants: { type: 'boolean', default: false },
      only: { type: 'string' },
    },
  })
  const number = (name: string, text: string): number => {
    const value = Number(text)
    if (!Number.isInteger(value) || value < 1) throw new TypeError(`--${name} needs a positive whole number`)
    return value
  }
  const events = number('events', values.events)
  const workers = number('workers', values.workers)
  const from = number('seed', values.seed ?? '1')
  if (values.trace) return await trace(from, events)
  if (values.mutants) {
    const seeds = number('seeds', values.seeds ?? String(MUTANT_SEEDS))
    return await hunt({ from, seeds, events, workers }, values.only)
  }
  return await sim({
    from,
    seeds: number('seeds', values.seeds ?? (values.seed === undefined ? '1000' : '1')),
    events,
    workers,
  })
}

type Run = Parameters<typeof huntMutant>[1]

async function sim(run: Run): Promise<number> {
  let told = performance.now()
  const onProgress = (done: number): void => {
    if (performance.now() - told < 5000) return
    told = performance.now()
    say(`${done} of ${run.seeds} seeds`)
  }
  const result = await runSeeds({ ...run, onProgress })
  for (const { seed, violation } of result.violations)
    say(`seed ${seed}: ${violation}\n  npm run sim -- --seed ${seed} --events ${run.events} --trace`)
  const ok = result.violations.length === 0 && result.identical === result.repeated
  print({ name: 'sim', ok, ...result })
  return ok ? 0 : EXIT_FOUND
}

async function trace(seed: number, events: number): Promise<number> {
  const { trace: lines, violation, ...outcome } = await traceSeed(seed, events)
  for (const line of lines) process.stdout.write(`${line}\n`)
  if (violation !== undefined) say(violation)
  print({ name: 'sim', ok: violation === undefined, ...outcome, violation: violation ?? null })
  return violation === undefined ? 0 : EXIT_FOUND
}

async function hunt(run: Run, only: string | undefined): Promise<number> {
  const mutants = MUTANTS.filter((one) => only === undefined || one.name === only)
  const survivors: string[] = []
  let slowest = 0
  for (const { name } of mutants) {
    const { seed, seeds, violation } = await huntMutant(name, run)
    if (seed === undefined) survivors.push(name)
    slowest = Math.max(slowest, seeds)
    say(seed === undefined ? `${name}: SURVIVED ${seeds} seeds` : `${name}: seed ${seed}: ${violation}`)
  }
  const ok = survivors.length === 0 && mutants.length > 0
  print({
    name: 'sim-mutants',
    ok,
    mutants: mutants.length,
    caught: mutants.length - survivors.length,
    survivors,
    slowest,
  })
  return ok ? 0 : EXIT_FOUND
}

export function usage(error: unknown): number {
  say(`sim: ${error instanceof Error ? error.message : String(error)}`)
  return EXIT_USAGE
}
