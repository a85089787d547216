import type { Effect, ResolveEffect } from '@hypercode/contracts'
import { inTransaction, writeAudit } from '@hypercode/db'
import type { Db } from '@hypercode/db'
import { AppError } from '@hypercode/http'
import { unknownEffectError } from '../domain/effects.ts'
import { pauseAttempt } from '../domain/end-attempt.ts'
import type { TaskFacts } from '../domain/facts.ts'
import { missionOf, move, openLedger, tell } from '../domain/ledger.ts'
import { resolveOpenLetters } from '../store/dead-letters.ts'
import { findEffect, markUnknown, resolveUnknown } from '../store/effects.ts'
import { enter, lockMissions, lockTasks } from '../store/load.ts'
import { lockReported } from '../store/reports.ts'
import type { FenceClaim } from '../store/reports.ts'
import type { Saved } from '../store/save-ledger.ts'
import { findTask } from '../store/read-tasks.ts'
import { settle } from './settle.ts'

/** F2: the attempt ends and its task waits for a person. Answers undefined when the fence does not hold: then nothing is changed. */
export async function pauseForEffect(db: Db, claim: FenceClaim, name: string): Promise<Saved | undefined> {
  return await inTransaction(db, async (trx) => {
    const ledger = openLedger()
    const [reported] = await lockReported(trx, ledger, [claim])
    if (reported?.task === undefined) return undefined
    const [task] = enter(ledger, [reported.task]) as [TaskFacts]
    await markUnknown(trx, task.id, name)
    pauseAttempt(ledger, task, 'unknown_effect', unknownEffectError(name))
    return await settle(trx, ledger)
  })
}

export interface ResolveOrder {
  tenantId: string
  actor: string
  taskId: string
  name: string
  answer: ResolveEffect
}

/** A person says whether an unknown effect has happened. When none is left, the paused task goes on and its dead letter is closed. */
export async function resolveEffect(db: Db, order: ResolveOrder): Promise<{ effect: Effect; saved: Saved }> {
  const { tenantId, actor, taskId, name, answer } = order
  return await inTransaction(db, async (trx) => {
    const before = (await findTask(trx, tenantId, taskId)) && (await findEffect(trx, taskId, name))
    if (before === undefined) throw new AppError('not_found')
    // A task with an unknown effect waits for nothing else, so it may be locked before its mission.
    if (before.known.state !== 'unknown')
      throw new AppError('conflict', { detail: `The effect is ${before.known.state}.` })
    const ledger = openLedger()
    const [task] = enter(ledger, await lockTasks(trx, [taskId])) as [TaskFacts]
    await lockMissions(trx, ledger, [task.missionId])
    const found = await findEffect(trx, taskId, name)
    if (task.state !== 'paused' || found?.known.state !== 'unknown') {
      const what = found === undefined ? 'is not there any more' : `is ${found.known.state}`
      throw new AppError('conflict', { detail: `The effect ${what}, and its task is ${task.state}.` })
    }
    const left = await resolveUnknown(trx, taskId, name, { done: answer.done, response: answer.response, by: actor })
    const body = { key: task.key, effect: name, done: answer.done }
    tell(ledger, missionOf(ledger, task), 'task.effect.resolved', task.id, body)
    if (left === 0) {
      await resolveOpenLetters(trx, taskId, 'replayed', actor)
      move(ledger, task, 'queued', { reason: `the effect ${name} was resolved` })
    }
    const detail = { effect: name, done: answer.done, missionId: task.missionId }
    await writeAudit(trx, [{ tenantId, actor, action: 'effect.resolved', ref: taskId, detail }])
    const after = answer.done ? await findEffect(trx, taskId, name) : undefined
    // What has not happened is as if nobody had begun it.
    return { effect: after?.effect ?? { ...found.effect, resolvedBy: actor }, saved: await settle(trx, ledger) }
  })
}
