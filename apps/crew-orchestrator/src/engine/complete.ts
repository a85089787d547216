import type { CompletionReport, TaskState } from '@hypercode/contracts'
import { inTransaction } from '@hypercode/db'
import type { Db } from '@hypercode/db'
import { endAttempt } from '../domain/end-attempt.ts'
import type { Ending } from '../domain/end-attempt.ts'
import { openLedger } from '../domain/ledger.ts'
import type { TaskFacts } from '../domain/facts.ts'
import { enter, lockMissions } from '../store/load.ts'
import { lockReported } from '../store/reports.ts'
import type { FenceClaim, ReportedAttempt } from '../store/reports.ts'
import type { Saved } from '../store/save-ledger.ts'
import { hashText } from './canonical.ts'
import { settle } from './settle.ts'

/** The report of one attempt by its agent. */
export interface Report extends FenceClaim {
  report: CompletionReport
}

export interface ReportResult {
  status: 'accepted' | 'replayed' | 'stale'
  state: TaskState | undefined
}

/**
 * Takes the reports of any number of attempts in one transaction: those whose fence holds change their task, with all that follows;
 * a repeat of what was reported before is answered as such; everything else is stale and changes nothing.
 */
export async function completeAttempts(
  db: Db,
  reports: readonly Report[],
): Promise<{ results: ReportResult[]; saved: Saved }> {
  return await inTransaction(db, async (trx) => {
    const ledger = openLedger()
    const found = await lockReported(trx, reports)
    await lockMissions(
      trx,
      ledger,
      found.flatMap((one) => one.task?.mission_id ?? []),
    )
    const taken = new Map<number, TaskFacts>()
    for (const [ord, { task: row }] of found.entries()) {
      if (row === undefined) continue
      const [task] = enter(ledger, [row]) as [TaskFacts]
      // The same attempt twice in one batch: the first report counts, the second meets a task that has moved on.
      if (task.state !== 'executing') continue
      endAttempt(ledger, task, endingOf((reports[ord] as Report).report), Math.random())
      taken.set(ord, task)
    }
    const saved = await settle(trx, ledger)
    return {
      results: reports.map((one, ord) => resultOf(one, taken.get(ord), found[ord] as ReportedAttempt, ledger.tasks)),
      saved,
    }
  })
}

function resultOf(
  one: Report,
  taken: TaskFacts | undefined,
  found: ReportedAttempt,
  tasks: ReadonlyMap<string, TaskFacts>,
): ReportResult {
  if (taken !== undefined) return { status: 'accepted', state: taken.state }
  if (found.earlier !== undefined && isRepeat(one.report, found.earlier))
    return { status: 'replayed', state: found.earlier.state }
  if (found.task !== undefined) return { status: 'replayed', state: tasks.get(one.taskId)?.state }
  return { status: 'stale', state: undefined }
}

/** A completion repeats only one with the same output; of the other outcomes there is nothing to compare. */
function isRepeat(report: CompletionReport, earlier: NonNullable<ReportedAttempt['earlier']>): boolean {
  if (report.outcome === 'completed')
    return earlier.outcome === 'completed' && earlier.outputHash === hashOf(report.output)
  return earlier.outcome === report.outcome
}

function endingOf(report: CompletionReport): Ending {
  const { error } = report
  const said = { code: error?.code ?? report.outcome, message: error?.message ?? 'the agent gave no reason' }
  switch (report.outcome) {
    case 'completed':
      return { kind: 'completed', output: report.output ?? null, outputHash: hashOf(report.output) }
    case 'rejected':
      return { kind: 'rejected', error: said }
    case 'failed':
      return {
        kind: 'failed',
        outcome: 'failed',
        error: said,
        failure: { code: said.code, retryable: error?.retryable ?? true, retryAfterMs: error?.retryAfterMs },
      }
    default:
      return { kind: report.outcome }
  }
}

const hashOf = (output: unknown): string => hashText(JSON.stringify(output ?? null))
