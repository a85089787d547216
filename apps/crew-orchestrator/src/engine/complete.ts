import type { CompletionReport, TaskState, Wait } from '@hypercode/contracts'
import { AND_COMMIT, inTransaction } from '@hypercode/db'
import type { Db, Trx } from '@hypercode/db'
import { endAttempt } from '../domain/end-attempt.ts'
import type { Ending } from '../domain/end-attempt.ts'
import type { KnownWaits } from '../domain/suspend.ts'
import { openLedger } from '../domain/ledger.ts'
import type { Ledger } from '../domain/ledger.ts'
import type { TaskFacts } from '../domain/facts.ts'
import { outputFault } from '../domain/output-schema.ts'
import { enter, readInputs } from '../store/load.ts'
import { lockReported } from '../store/reports.ts'
import type { FenceClaim, ReportedAttempt } from '../store/reports.ts'
import type { SaveOptions, Saved } from '../store/save-ledger.ts'
import { hashText } from '@hypercode/manifest'
import { readRounds } from '../store/verifications.ts'
import { readKnownWaits } from '../store/waits.ts'
import { settle } from './settle.ts'

/** The report of one attempt by its agent. */
export interface Report extends FenceClaim {
  report: CompletionReport
  /** SHA-256 of its output, in hex. */
  outputHash: string
  /** Characters of its output. */
  chars: number
}

export function reportOf(fence: FenceClaim, report: CompletionReport): Report {
  const text = JSON.stringify(report.output ?? null)
  return { ...fence, report, outputHash: hashText(text), chars: text.length }
}

export interface ReportResult {
  status: 'accepted' | 'replayed' | 'stale'
  state: TaskState | undefined
}

export interface Completed {
  results: ReportResult[]
  saved: Saved
}

/**
 * Takes the reports of any number of attempts in one transaction: those whose fence holds change their task, with all that follows;
 * a repeat of what was reported before is answered as such; everything else is stale and changes nothing.
 */
export async function completeAttempts(
  db: Db,
  reports: readonly Report[],
  options: Pick<SaveOptions, 'isAwaited' | 'handOver'> = {},
): Promise<Completed> {
  return await inTransaction(db, async (trx) => {
    const ledger = openLedger()
    const found = await lockReported(trx, ledger, reports)
    const waits = await readWaitsOf(trx, reports, found)
    const rounds = await readRoundsOf(trx, ledger, reports, found)
    const taken = new Map<number, TaskFacts>()
    for (const [ord, { task: row }] of found.entries()) {
      if (row === undefined) continue
      const [task] = enter(ledger, [row]) as [TaskFacts]
      // The same attempt twice in one batch: the first report counts, the second is compared with it.
      if (task.state !== 'executing') continue
      endAttempt(
        ledger,
        task,
        endingOf(reports[ord] as Report, task, waits.get(ord), rounds.get(task.id)),
        Math.random(),
      )
      taken.set(ord, task)
    }
    const saved = await settle(trx, ledger, { ...options, end: AND_COMMIT })
    const counted = new Map(Array.from(taken, ([ord, task]) => [task.id, { task, report: reports[ord] as Report }]))
    return {
      results: reports.map((one, ord) => {
        const task = taken.get(ord)
        if (task !== undefined) return { status: 'accepted', state: task.state }
        return resultOf(one, found[ord] as ReportedAttempt, counted.get(one.taskId))
      }),
      saved,
    }
  })
}

/** Of a report that changed nothing: does it say again what an earlier one, or another one of this batch, has said? */
function resultOf(
  one: Report,
  found: ReportedAttempt,
  counted: { task: TaskFacts; report: Report } | undefined,
): ReportResult {
  const earlier =
    found.task === undefined || counted === undefined
      ? found.earlier
      : { ...outcomeOf(counted.report), state: counted.task.state }
  if (earlier === undefined || !isRepeat(one, earlier)) return { status: 'stale', state: undefined }
  return { status: 'replayed', state: earlier.state }
}

const outcomeOf = ({ report, outputHash }: Report): { outcome: string; outputHash: string } => ({
  outcome: report.outcome,
  outputHash,
})

/** A completion repeats only one with the same output; of the other outcomes there is nothing to compare. */
function isRepeat({ report, outputHash }: Report, earlier: NonNullable<ReportedAttempt['earlier']>): boolean {
  if (report.outcome === 'completed')
    return (earlier.outcome === 'completed' || earlier.outcome === 'delivered') && earlier.outputHash === outputHash
  return earlier.outcome === report.outcome
}

/** Looks up what the reports that ask for a wait need to know, which most batches do not have. */
async function readWaitsOf(
  trx: Trx,
  reports: readonly Report[],
  found: readonly ReportedAttempt[],
): Promise<Map<number, KnownWaits>> {
  const asks = found.flatMap(({ task, ord }) => {
    const { wait } = (reports[ord] as Report).report
    if (task === undefined || wait === undefined) return []
    const signal = wait.kind === 'signal' ? wait.signal : null
    return [{ ord, taskId: task.id, missionId: task.mission_id, key: task.key, name: wait.name, signal }]
  })
  const known = await readKnownWaits(trx, asks)
  return new Map(asks.map(({ ord }, index) => [ord, known[index] as KnownWaits]))
}

/** Which round the output of each task is for, and what who verifies is shown; most batches have no such task. */
async function readRoundsOf(
  trx: Trx,
  ledger: Ledger,
  reports: readonly Report[],
  found: readonly ReportedAttempt[],
): Promise<Map<string, number>> {
  const rows = found.flatMap(({ task, ord }) =>
    task?.policy?.verify !== undefined && (reports[ord] as Report).report.outcome === 'completed' ? [task] : [],
  )
  if (rows.length === 0) return new Map()
  const tasks = enter(ledger, rows)
  await readInputs(
    trx,
    tasks.filter(({ policy }) => policy?.verify?.kind === 'agent' || policy?.verify?.kind === 'command'),
  )
  return await readRounds(
    trx,
    tasks.map(({ id }) => id),
  )
}

export function endingOf(
  { report, outputHash, chars }: Report,
  { policy }: TaskFacts,
  known: KnownWaits | undefined,
  rounds: number | undefined,
): Ending {
  const { error } = report
  const said = { code: error?.code ?? report.outcome, message: error?.message ?? 'the agent gave no reason' }
  switch (report.outcome) {
    case 'completed': {
      const fault =
        policy?.outputSchema === undefined ? undefined : outputFault(policy.outputSchema, report.output ?? null, chars)
      if (fault !== undefined) return wrongOutput(fault)
      return { kind: 'completed', output: report.output ?? null, outputHash, chars, round: (rounds ?? 0) + 1 }
    }
    case 'rejected':
      return { kind: 'rejected', error: said }
    case 'failed':
      return {
        kind: 'failed',
        outcome: 'failed',
        error: said,
        failure: { code: said.code, retryable: error?.retryable ?? true, retryAfterMs: error?.retryAfterMs },
      }
    case 'waiting':
      // The route takes no report of a wait without one.
      return { kind: 'waiting', wait: report.wait as Wait, known: known ?? { count: 0, repeated: false } }
    default:
      return { kind: report.outcome }
  }
}

/** Another attempt is told what was wrong, and may do better. */
function wrongOutput(fault: string): Ending {
  const error = { code: 'output_invalid', message: `the output does not fit its schema: ${fault}` }
  return { kind: 'failed', outcome: 'failed', error, failure: { code: error.code, retryable: true } }
}
