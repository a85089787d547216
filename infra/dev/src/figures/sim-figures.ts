import { spawn } from 'node:child_process'
import path from 'node:path'
import { ROOT } from '../checkout.ts'
import type { FigureSpec } from './figure.ts'

const SEEDS = 10_000
const MAX_SECONDS = 300
const MUTANTS_MIN = 10

export const simulation: FigureSpec = {
  name: 'sim',
  about: 'violations in 10,000 simulated courses of the orchestrator, each with 500 events or more',
  bar: `0, <= ${MAX_SECONDS} s, every seed repeats itself`,
  measure: async () => {
    const { ok, seconds, seeds, events, identical, violations } = await runSim('--seeds', String(SEEDS))
    const isWhole = ok === true && seeds === SEEDS && Number(seconds) <= MAX_SECONDS
    const found = (violations as unknown[]).length
    const more = { seconds: Number(seconds), events: Number(events), identical: Number(identical) }
    return { figure: found, unit: 'violations', ok: isWhole, more }
  },
}

export const simulationMutants: FigureSpec = {
  name: 'sim-mutants',
  about: 'faults in the core that the simulation finds within 1,000 seeds',
  bar: `all of >= ${MUTANTS_MIN}`,
  measure: async () => {
    const { ok, mutants, caught, slowest } = await runSim('--mutants')
    const isWhole = ok === true && Number(mutants) >= MUTANTS_MIN
    return { figure: Number(caught), unit: `of ${String(mutants)}`, ok: isWhole, more: { slowest: Number(slowest) } }
  },
}

/** The JSON line of `npm run sim`. */
async function runSim(...args: string[]): Promise<Record<string, unknown>> {
  const file = path.join(ROOT, 'apps/crew-orchestrator/sim/cli.ts')
  const child = spawn(process.execPath, ['--conditions=@hypercode/source', file, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  for await (const chunk of child.stdout) output += String(chunk)
  return JSON.parse(output.trim().split('\n').at(-1) ?? '') as Record<string, unknown>
}
