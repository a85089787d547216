import type { RecordUsage } from '@hypercode/contracts'
import { inTransaction, writeAudit } from '@hypercode/db'
import type { Db, Trx } from '@hypercode/db'
import { reasonOf, stopSpending } from '../domain/budget.ts'
import { openLedger } from '../domain/ledger.ts'
import type { MissionFacts } from '../domain/facts.ts'
import { spend } from '../store/budgets.ts'
import { holdEvery } from '../store/held-tasks.ts'
import { lockMissions } from '../store/load.ts'
import type { FenceClaim } from '../store/reports.ts'
import { NOTHING_SAVED, saveLedger } from '../store/save-ledger.ts'
import type { Saved } from '../store/save-ledger.ts'
import { recordSpending, recordUsage } from '../store/usage.ts'
import { StillInHandsError, untilFree } from './until-free.ts'

export interface CountedUsage {
  kind: 'fenced' | 'written' | 'full'
  saved: Saved
}

/**
 * Counts a call of a model. In a mission with a budget it is counted with the mission locked; the call that reaches a limit pauses the
 * mission in the same transaction, so that nothing of it begins after that, whatever replica it is asked of. What runs comes to its end.
 */
export async function countUsage(db: Db, claim: FenceClaim, usage: RecordUsage): Promise<CountedUsage> {
  const { kind } = await recordUsage(db, claim, usage)
  if (kind !== 'budgeted') return { kind, saved: NOTHING_SAVED }
  return await untilFree(async () => await inTransaction(db, async (trx) => await countSpending(trx, claim, usage)))
}

async function countSpending(trx: Trx, claim: FenceClaim, usage: RecordUsage): Promise<CountedUsage> {
  const { kind, missionId } = await recordSpending(trx, claim, usage)
  if (missionId === undefined) return { kind, saved: NOTHING_SAVED }
  const ledger = openLedger()
  await lockMissions(trx, ledger, [missionId])
  const mission = ledger.missions.get(missionId) as MissionFacts
  const budget = await spend(trx, missionId, { tokens: usage.inputTokens + usage.outputTokens, usd: usage.usd })
  if (budget === undefined || !stopSpending(ledger, mission, budget)) return { kind, saved: NOTHING_SAVED }
  // A claim that has one of its tasks in hand began before this, and is let through first.
  if (!(await holdEvery(trx, missionId))) throw new StillInHandsError()
  const { tenantId } = mission
  const detail = { reason: reasonOf(budget) }
  await writeAudit(trx, [{ tenantId, actor: 'system', action: 'mission.paused', ref: missionId, detail }])
  return { kind, saved: await saveLedger(trx, ledger) }
}
