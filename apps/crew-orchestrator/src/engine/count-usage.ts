import type { RecordUsage } from '@hypercode/contracts'
import { inTransaction, writeAudit } from '@hypercode/db'
import type { Db, Trx } from '@hypercode/db'
import { stopSpending } from '../domain/budget.ts'
import { openLedger } from '../domain/ledger.ts'
import type { MissionFacts } from '../domain/facts.ts'
import { findSpenders } from '../store/around.ts'
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
 * Counts a call of a model. Where the mission, or one around it, has a budget, it is counted in each of these with the missions locked;
 * the call that reaches a limit pauses the mission of that budget, and what stands between it and the call, in the same transaction, so
 * that nothing of them begins after that, whatever replica it is asked of. What runs comes to its end. Other missions within follow by
 * the loop, as after any pause.
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
  const spenders = await findSpenders(trx, missionId)
  await lockMissions(trx, ledger, spenders)
  const missions = spenders.map((id) => ledger.missions.get(id) as MissionFacts)
  const budgets = await spend(trx, spenders, { tokens: usage.inputTokens + usage.outputTokens, usd: usage.usd })
  const stopped = stopSpending(ledger, missions, budgets)
  if (stopped.length === 0) return { kind, saved: NOTHING_SAVED }
  for (const { mission } of stopped) {
    // A claim that has one of its tasks in hand began before this, and is let through first.
    if (!(await holdEvery(trx, mission.id))) throw new StillInHandsError()
  }
  await writeAudit(
    trx,
    stopped.map(({ mission: { id, tenantId }, reason }) => ({
      tenantId,
      actor: 'system',
      action: 'mission.paused',
      ref: id,
      detail: { reason },
    })),
  )
  return { kind, saved: await saveLedger(trx, ledger) }
}
