import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { MUTANTS, huntMutant, runSeeds, traceSeed } from '../../sim/index.ts'

/** `npm run sim` runs many more; these show that the simulation still fits the code. */
const SEEDS = 30
const run = { from: 1, events: 500, workers: 2 }

test('some seeds: no violation, enough happens in each, and each takes the same course again', {
  timeout: 120_000,
}, async () => {
  const result = await runSeeds({ ...run, seeds: SEEDS })
  expect(result.violations).toEqual([])
  expect(result.seeds).toBe(SEEDS)
  expect(result.eventsMin).toBeGreaterThanOrEqual(500)
  expect(result.attempts).toBeGreaterThan(SEEDS)
  expect(result.leasesLost).toBeGreaterThan(0)
  expect(result.handed).toBeGreaterThan(0)
  expect(result.heldBack).toBeGreaterThan(0)
  expect(result.unseen + result.outdated).toBeGreaterThan(0)
  expect(result.identical).toBe(result.repeated)
})

test('a trace is the same to the last line', { timeout: 60_000 }, async () => {
  const [one, other] = [await traceSeed(7, 500), await traceSeed(7, 500)]
  expect(one.trace.length).toBeGreaterThan(500)
  expect(one.trace).toEqual(other.trace)
})

test.for(['attempt-dropped', 'countdown-outside', 'given-though-not-stored'])(
  'the mutant %s is found',
  { timeout: 120_000 },
  async (name) => {
    const { seed, violation } = await huntMutant(name, { ...run, seeds: 1000 })
    expect(seed, violation).toBeDefined()
  },
)

test('there are ten mutants and more, each with a name of its own', () => {
  expect(MUTANTS.length).toBeGreaterThanOrEqual(10)
  expect(new Set(MUTANTS.map(({ name }) => name)).size).toBe(MUTANTS.length)
})

test('every mutant fits the sources as they are now', () => {
  const root = new URL('../../../../', import.meta.url)
  const misfits = MUTANTS.flatMap(({ name, edits }) =>
    edits
      .filter(({ file, find }) => readFileSync(new URL(file, root), 'utf8').split(find).length !== 2)
      .map(({ file, find }) => `${name}: ${file} does not hold once: ${find}`),
  )
  expect(misfits).toEqual([])
})
