/**
 * `npm run figures` lists every figure that this repository claims; `npm run figures -- NAME` measures one on the built services and
 * prints one JSON line. Exit 1 when it falls short of its bar, 2 when the set-up is broken.
 */
import { auditOf1000Files } from './audit-figure.ts'
import { latency, throughput } from './bench-figures.ts'
import { coderResume } from './coder-figure.ts'
import { adopt, crashLoop, heal, spawnCold, spawnTen, spawnWarm } from './factory-figures.ts'
import type { FigureSpec } from './figure.ts'
import { gymErrors, gymGate } from './gym-figures.ts'
import { costGrowth } from './p6-figure.ts'
import { peers } from './peers-figure.ts'
import { poolOf50Agents } from './pool-figure.ts'
import { simulation, simulationMutants } from './sim-figures.ts'
import { startCold, startWarm } from './start-figures.ts'
import { storms } from './storm-figures.ts'
import { testTime } from './test-figure.ts'

const FIGURES: readonly FigureSpec[] = [
  startCold,
  startWarm,
  testTime,
  auditOf1000Files,
  throughput,
  latency,
  costGrowth,
  peers,
  poolOf50Agents,
  spawnCold,
  spawnWarm,
  spawnTen,
  heal,
  crashLoop,
  adopt,
  gymGate,
  gymErrors,
  coderResume,
  simulation,
  simulationMutants,
  ...storms,
]
const EXIT_SHORT = 1
const EXIT_BROKEN = 2

const [name] = process.argv.slice(2)
process.exit(name === undefined ? list() : await measure(name))

function list(): number {
  const width = Math.max(...FIGURES.map((spec) => spec.name.length))
  for (const spec of FIGURES)
    process.stdout.write(`${spec.name.padEnd(width)}  ${spec.bar.padEnd(42)}  ${spec.about}\n`)
  return 0
}

async function measure(wanted: string): Promise<number> {
  const spec = FIGURES.find((one) => one.name === wanted)
  if (spec === undefined) {
    process.stderr.write(`figures: there is no figure ${wanted}; \`npm run figures\` lists them\n`)
    return EXIT_BROKEN
  }
  try {
    const { figure, unit, ok, more } = await spec.measure()
    process.stdout.write(`${JSON.stringify({ name: spec.name, figure, unit, bar: spec.bar, ok, ...more })}\n`)
    return ok ? 0 : EXIT_SHORT
  } catch (error) {
    process.stderr.write(
      `figures: ${spec.name} could not be measured: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
    )
    return EXIT_BROKEN
  }
}
