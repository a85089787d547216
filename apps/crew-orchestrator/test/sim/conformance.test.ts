/**
 * The simulation is worth what its model of Postgres is worth. Here the same random histories go through the real engine on the real
 * Postgres and on the model, step by step; every answer and all that is stored must be the same. Only what takes locks and time between
 * two steps is left out: there, no two runs are alike.
 */
import { registerInstance, test } from '../harness.ts'
import { afterAll, expect } from 'vitest'
import { allStatements, askedStatements } from '../../sim/database/book.ts'
import { createRandom } from '../../sim/random.ts'
import { openHistory } from './history.ts'
import { openModelSide, openRealSide } from './sides.ts'

const STEPS = 150

test.for([1, 2, 3, 4, 5])(
  'history %i is the same on Postgres and on the model',
  { timeout: 120_000 },
  async (seed, { db, tenant }) => {
    const real = openRealSide(db, tenant.id, registerInstance)
    const model = openModelSide(tenant.id)
    const random = createRandom(seed)
    const history = await openHistory([real, model], random)
    for (let step = 1; step <= STEPS; step += 1) {
      const what = await history.step()
      expect(history.answers[1], `step ${step}: the answer to ${what}`).toEqual(history.answers[0])
      const [stored, modelled] = await history.stored()
      expect(modelled, `step ${step}: what is stored after ${what}`).toEqual(stored)
    }
    expect(history.accepted).toBeGreaterThan(1)
  },
)

/** Only a fault of the orchestrator makes it ask these. */
const NEVER_ASKED = ['findDue', 'readInputs']

afterAll(() => {
  const asked = new Set(askedStatements())
  expect(allStatements().filter((name) => !asked.has(name))).toEqual(NEVER_ASKED)
})
