import type { Trx } from '@hypercode/db'
import { isCompensation } from '../domain/compensate.ts'
import type { TaskFacts } from '../domain/facts.ts'
import type { Ledger } from '../domain/ledger.ts'
import { endPlan, isPlanning } from '../domain/plan-tasks.ts'
import { cancelWaiting, closeMissions, countDown, letGo, takeNews } from '../domain/propagate.ts'
import { isMissionTerminal } from '../domain/states.ts'
import { readCompensated } from '../store/compensations.ts'
import { lockDependents, lockWaiting, readElements, readInputs, readLeafOutputs, readOutputs } from '../store/load.ts'
import { readPlanResults } from '../store/plans.ts'
import { prolongTasks } from '../store/due.ts'
import { holdTasks } from '../store/held-tasks.ts'
import { saveLedger } from '../store/save-ledger.ts'
import type { Saved, SaveOptions } from '../store/save-ledger.ts'
import { beginCompensations } from './compensate.ts'
import { hearReviewers, withdrawReviewers } from './verifications.ts'

/**
 * Follows every decision of a ledger to its end: what ended is told to what waits for it, until nothing new happens; then missions
 * without open tasks are closed and all of it is written in one statement. The missions of the ledger must be locked.
 */
export async function settle(trx: Trx, ledger: Ledger, options?: SaveOptions): Promise<Saved> {
  await followNews(trx, ledger)
  await beginCompensations(trx, ledger)
  await followNews(trx, ledger)
  const ending = [...ledger.missions.values()]
    .filter((mission) => mission.openTasks === 0 && !isMissionTerminal(mission.state))
    .map((mission) => mission.id)
  if (ending.length > 0) closeMissions(ledger, await readLeafOutputs(trx, ledger, ending))
  for (const id of ledger.pausing) await holdTasks(trx, id)
  if (ledger.prolonged.length > 0) await prolongTasks(trx, ledger.prolonged)
  return await saveLedger(trx, ledger, options)
}

async function followNews(trx: Trx, ledger: Ledger): Promise<void> {
  for (;;) {
    await withdrawReviewers(trx, ledger)
    if (ledger.news.length === 0) return
    const news = takeNews(ledger)
    if (ledger.failing.size > 0) {
      const failing = [...ledger.failing]
      ledger.failing.clear()
      cancelWaiting(ledger, await lockWaiting(trx, ledger, failing))
    }
    await hearReviewers(trx, ledger, news)
    await tellDependents(trx, ledger, news)
  }
}

async function tellDependents(trx: Trx, ledger: Ledger, news: readonly TaskFacts[]): Promise<void> {
  // In a mission without open tasks nothing waits: single tasks and last tasks cost no query here.
  const heard = news.filter((task) => (ledger.missions.get(task.missionId)?.openTasks ?? 0) > 0)
  if (heard.length === 0) return
  const free = countDown(ledger, await lockDependents(trx, ledger, heard))
  if (free.length === 0) return
  const outputs = await readOutputs(
    trx,
    ledger,
    free.filter((task) => task.state === 'blocked'),
  )
  const compensated = await readCompensated(trx, ledger, free.filter(isCompensation))
  const elements = await readElements(
    trx,
    ledger,
    free.filter((task) => task.state === 'waiting' && !isPlanning(task)),
  )
  const plans = await readPlanResults(trx, ledger, free.filter(isPlanning))
  await readInputs(
    trx,
    free.filter((task) => task.policy?.approval !== undefined && task.template === null),
  )
  for (const task of free) {
    const plan = plans.get(task.id)
    if (plan !== undefined) endPlan(ledger, task, plan.name, plan.results)
    else letGo(ledger, task, compensated.get(task.id) ?? outputs.get(task.missionId) ?? {}, elements.get(task.id) ?? [])
  }
}
