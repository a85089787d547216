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

const STEPS = 120
const HISTORIES = 4
/** From here on a few histories come to every statement. */
const BEFORE_FIRST = 7
/** So many more at most, until every statement has been compared. */
const FURTHER = 12
/** No task of these histories is verified or waits beyond its total time, and only a fault of ours makes it look for what is due one by one. */
const NEVER_ASKED = ['lockVerifying', 'lockReviewers', 'findDue', 'prolongTasks']

let accepted = 0
let handed = 0
let unseen = 0
const notAsked = (): string[] => {
  const asked = new Set([...askedStatements(), ...NEVER_ASKED])
  return allStatements().filter((name) => !asked.has(name))
}

test.for(Array.from({ length: HISTORIES + FURTHER }, (_, index) => index + 1))(
  'history %i is the same on Postgres and on the model',
  { timeout: 120_000 },
  async (seed, { db, tenant }) => {
    if (seed > HISTORIES && notAsked().length === 0) return
    const real = openRealSide(db, tenant.id, registerInstance)
    const model = openModelSide(tenant.id)
    const history = await openHistory([real, model], createRandom(BEFORE_FIRST + seed))
    for (let step = 1; step <= STEPS; step += 1) {
      const what = await history.step()
      expect(history.answers[1], `step ${step}: the answer to ${what}`).toEqual(history.answers[0])
      const [stored, modelled] = await history.stored()
      expect(modelled, `step ${step}: what is stored after ${what}`).toEqual(stored)
    }
    accepted += history.accepted
    handed += history.handed
    unseen += history.unseen
  },
)

afterAll(() => {
  expect(accepted).toBeGreaterThan(HISTORIES)
  expect(handed).toBeGreaterThan(HISTORIES)
  expect(unseen).toBeGreaterThan(0)
  expect(notAsked(), 'statements of the model that no history has compared').toEqual([])
})
