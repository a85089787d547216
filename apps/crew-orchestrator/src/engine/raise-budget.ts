import type { Budget } from '@hypercode/contracts'
import { writeAudit } from '@hypercode/db'
import type { Trx } from '@hypercode/db'
import { AppError } from '@hypercode/http'
import { figuresOf, raiseFaults } from '../domain/budget.ts'
import { readBudget, setLimits } from '../store/budgets.ts'
import { readHindrances } from '../store/hindrances.ts'
import { auditVia } from './via.ts'
import type { Via } from './via.ts'

/** Raises limits of a mission that is locked. Throws 422 for one that would be lower, or that the mission does not have. */
export async function raiseBudget(
  trx: Trx,
  { tenantId, missionId, actor, via }: Via & { tenantId: string; missionId: string; actor: string },
  raised: Budget,
): Promise<void> {
  const before = await readBudget(trx, missionId)
  if (before === undefined) throw refusal([{ pointer: '/budget', message: 'the mission has no budget' }])
  const faults = raiseFaults(before, raised)
  if (faults.length > 0) throw refusal(faults.map(({ limit, message }) => ({ pointer: `/budget/${limit}`, message })))
  const after = await setLimits(trx, missionId, raised)
  const detail = { ...auditVia({ via }), ...raised, budget: figuresOf(after) }
  await writeAudit(trx, [{ tenantId, actor, action: 'mission.budget_raised', ref: missionId, detail }])
}

/** Throws 409 when the budget of a mission is used up, or the mission around it is paused. */
export async function refuseWhileHeld(trx: Trx, missionId: string): Promise<void> {
  const { budget, around } = await readHindrances(trx, missionId)
  if (around !== undefined)
    throw new AppError('conflict', {
      detail: `Mission ${around.id} of crew ${around.crew} around it is paused.`,
      fix: 'Resume that one: what was paused with it goes on with it.',
    })
  if (budget !== undefined)
    throw new AppError('conflict', {
      detail: `The budget of the mission is used up: ${figuresOf(budget)}.`,
      fix: 'Resume it with a larger budget, { "budget": { … } }, or cancel it.',
    })
}

const refusal = (faults: { pointer: string; message: string }[]): AppError =>
  new AppError('unprocessable', { detail: 'The budget cannot be raised so.', faults })
