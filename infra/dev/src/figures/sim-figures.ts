import { availableParallelism } from 'node:os'
import { MUTANTS, huntMutant, runSeeds } from '../../../../apps/crew-orchestrator/sim/index.ts'
import type { FigureSpec } from './figure.ts'

const SEEDS = 10_000
const MUTANT_SEEDS = 1000
const EVENTS = 500
const MAX_SECONDS = 300
const MUTANTS_MIN = 10

export const simulation: FigureSpec = {
  name: 'sim',
  about: 'violations in 10,000 simulated courses of the orchestrator, each with 500 events or more',
  bar: `0, <= ${MAX_SECONDS} s, every seed repeats itself`,
  measure: async () => {
    const { violations, ...result } = await runSeeds({
      from: 1,
      seeds: SEEDS,
      events: EVENTS,
      workers: availableParallelism(),
    })
    const isWhole = result.seeds === SEEDS && result.eventsMin >= EVENTS && result.identical === result.repeated
    return {
      figure: violations.length,
      unit: 'violations',
      ok: violations.length === 0 && isWhole && result.seconds <= MAX_SECONDS,
      more: {
        ...result,
        first: violations[0] === undefined ? '' : `${violations[0].seed}: ${violations[0].violation}`,
      },
    }
  },
}

export const simulationMutants: FigureSpec = {
  name: 'sim-mutants',
  about: `faults in the core that the simulation finds within ${MUTANT_SEEDS} seeds`,
  bar: `all of >= ${MUTANTS_MIN}`,
  measure: async () => {
    const survivors: string[] = []
    let slowest = 0
    for (const { name } of MUTANTS) {
      const { seed, seeds } = await huntMutant(name, {
        from: 1,
        seeds: MUTANT_SEEDS,
        events: EVENTS,
        workers: availableParallelism(),
      })
      if (seed === undefined) survivors.push(name)
      slowest = Math.max(slowest, seeds)
    }
    return {
      figure: MUTANTS.length - survivors.length,
      unit: `of ${MUTANTS.length} mutants`,
      ok: survivors.length === 0 && MUTANTS.length >= MUTANTS_MIN,
      more: { slowest, survivors: survivors.join() },
    }
  },
}
