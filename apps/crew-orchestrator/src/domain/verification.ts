/**
 * Verification: the output of a task with `verify` counts only when a check has passed it. Until then the task is `verifying`, without a
 * slot, and what depends on it waits.
 *
 * V1 Such a task is completed only by a round that passed, about the output of its latest attempt.
 * V2 A round is open exactly as long as its task is `verifying`; the rounds of a task are 1, 2, 3.
 * V3 A round that fails costs no attempt: the task is queued again and told why, until `maxRounds` outputs were refused.
 */
import { newId } from '@hypercode/contracts'
import { askApproval, begin } from './approvals.ts'
import { exhaust } from './exhaust.ts'
import type { TaskFacts } from './facts.ts'
import { missionOf, move, plan, tell } from './ledger.ts'
import type { Ledger } from './ledger.ts'
import { missionScope, spendOf } from './mission-scope.ts'
import { outputFault } from './output-schema.ts'
import { outputSizeFault } from './output-size.ts'
import { ReferenceError, fill } from './references.ts'
import { MISSION_TASKS_MAX } from './release.ts'
import { DEFAULT_RETRY } from './retry.ts'
import { isBeingCanceled } from './states.ts'
import type { RoundDraft, Verify } from './verify-terms.ts'

/** What an attempt has brought; `chars` is its length as JSON. */
interface Delivery {
  output: unknown
  chars: number
  round: number
}

export interface RoundVerdict {
  passed: boolean
  reason: string | null
}

/** Begins the verification of what the attempt in hand has brought; a schema decides at once. */
export function verify(ledger: Ledger, task: TaskFacts, check: Verify, { output, chars, round }: Delivery): void {
  const { id: taskId, tenantId, missionId, attempt } = task
  if (isBeingCanceled(missionOf(ledger, task))) {
    move(ledger, task, 'canceled', { reason: 'the mission is being canceled' })
    return
  }
  const rest = { state: 'open', reason: null, verifierTaskId: null, approvalId: null } as const
  const draft: RoundDraft = { taskId, tenantId, missionId, round, attempt, kind: check.kind, ...rest }
  ledger.rounds.push(draft)
  if (check.kind === 'human') {
    draft.approvalId = askApproval(ledger, task, check.terms, { verifies: round, data: output ?? null })
    return
  }
  move(ledger, task, 'verifying', { output, reason: `round ${round} of its verification by ${check.kind}` })
  if (check.kind === 'schema') {
    const fault = outputFault(check.schema, output, chars)
    const reason = fault === undefined ? null : `the output does not fit its schema: ${fault}`
    endRound(ledger, task, round, { passed: fault === undefined, reason }, output)
    return
  }
  try {
    draft.verifierTaskId = askReviewer(ledger, task, check, { output, round })
  } catch (error) {
    if (!(error instanceof ReferenceError)) throw error
    endRound(ledger, task, round, { passed: false, reason: `the verifier has no input: ${error.message}` }, output)
  }
}

/** What a verifying task must answer. */
const VERDICT = {
  type: 'object',
  required: ['passed'],
  properties: { passed: { type: 'boolean' }, reason: { type: 'string' } },
} as const

/** Key of the task that verifies a round of another one; no id of a manifest holds a colon. */
const reviewerKey = (key: string, round: number): string => `${key}:verify:${round}`

/** Plans the task that verifies: one of its own, never the attempt that did the work. Answers its id. */
function askReviewer(
  ledger: Ledger,
  task: TaskFacts,
  check: Extract<Verify, { kind: 'agent' | 'command' }>,
  { output, round }: Pick<Delivery, 'output' | 'round'>,
): string {
  const mission = missionOf(ledger, task)
  if (mission.totalTasks >= MISSION_TASKS_MAX)
    throw new ReferenceError(`the mission has ${MISSION_TASKS_MAX} tasks already`)
  const { id, tenantId, missionId, key, priority, timeouts } = task
  const work = { key, input: task.input ?? null, output: output ?? null, round }
  const scope = { mission: missionScope(mission), task: work }
  const asked = fill(check.kind === 'agent' ? (check.input ?? ASKED) : ASKED, scope, spendOf(mission))
  const reviewer: TaskFacts = {
    id: newId(),
    tenantId,
    missionId,
    key: reviewerKey(key, round),
    leaf: false,
    queue: check.skill,
    requires: [],
    priority,
    state: 'blocked',
    reason: null,
    blockedBy: 0,
    template: null,
    policy: { tolerated: true, outputSchema: VERDICT, verifies: round },
    concurrency: null,
    turn: 0,
    held: false,
    parentId: id,
    attempt: 0,
    maxAttempts: DEFAULT_RETRY.maxAttempts,
    retry: DEFAULT_RETRY,
    timeouts,
    // A command is taken as it stands: what looks like a reference in it is not ours.
    input: check.kind === 'command' ? { ...(asked as object), command: check.command } : asked,
    output: null,
    error: null,
    delayMs: 0,
  }
  plan(ledger, reviewer)
  begin(ledger, reviewer)
  return reviewer.id
}

/** What who verifies is told unless the manifest says it; artifacts of the task are found by its key. */
const ASKED = { task: '${task.key}', input: '${task.input}', output: '${task.output}', round: '${task.round}' }

/** What the task that verified says about the output. One that a person skipped lets it pass. */
export function verdictOf({ key, state, output, error }: TaskFacts): RoundVerdict {
  if (state === 'skipped') return { passed: true, reason: null }
  if (state !== 'completed')
    return { passed: false, reason: `${key} ended ${state}${error === null ? '' : `: ${error.message}`}` }
  // Its output schema holds.
  const { passed, reason } = output as { passed: boolean; reason?: string }
  return { passed, reason: passed ? null : (reason ?? `${key} gave no reason`) }
}

/** Ends a round, and with it the verification: the task is completed with `output`, or told what is wrong. */
export function endRound(
  ledger: Ledger,
  task: TaskFacts,
  round: number,
  { passed, reason }: RoundVerdict,
  output: unknown,
): void {
  const mission = missionOf(ledger, task)
  const chars = JSON.stringify(output ?? null).length
  // Others may have taken the room while it was verified.
  const tooLarge = passed ? outputSizeFault(mission, chars) : undefined
  const told = tooLarge?.message ?? reason?.slice(0, MESSAGE_MAX).toWellFormed() ?? null
  const isThrough = passed && tooLarge === undefined
  closeRound(ledger, task, round, isThrough ? 'passed' : 'failed', told)
  const body = { key: task.key, attempt: task.attempt, round }
  if (isThrough) {
    tell(ledger, mission, 'task.verified', task.id, body)
    mission.outputChars += chars
    move(ledger, task, 'completed', { output })
    return
  }
  tell(ledger, mission, 'task.verification_failed', task.id, { ...body, reason: told })
  if (tooLarge !== undefined) exhaust(ledger, task, tooLarge, task.retry.onExhausted)
  else sendBack(ledger, task, round, told ?? 'it did not pass')
}

/** Tasks that are no longer verified, and of which nobody has decided. */
export function undecidedOf({ unverified, endedRounds, rounds }: Ledger): string[] {
  if (unverified.size === 0) return []
  const decided = new Set([...endedRounds, ...rounds].map(({ taskId }) => taskId))
  return [...unverified].filter((id) => !decided.has(id))
}

function sendBack(ledger: Ledger, task: TaskFacts, round: number, reason: string): void {
  const error = { code: 'verification_failed', message: reason }
  if (isBeingCanceled(missionOf(ledger, task))) {
    move(ledger, task, 'canceled', { error, reason: 'the mission is being canceled' })
    return
  }
  // V3: the attempt that it cost is given back.
  task.maxAttempts += 1
  const maxRounds = task.policy?.verify?.maxRounds ?? 1
  const hopeless = task.retry.nonRetryable.includes(error.code)
  // A task that is replayed from the dead letters has as many rounds again.
  if (hopeless || round % maxRounds === 0) exhaust(ledger, task, error, task.retry.onExhausted)
  else move(ledger, task, 'queued', { error, reason: `round ${round} of its verification failed` })
}

function closeRound(
  ledger: Ledger,
  { id: taskId, attempt }: TaskFacts,
  round: number,
  state: 'passed' | 'failed',
  reason: string | null,
): void {
  const fresh = ledger.rounds.find((one) => one.taskId === taskId && one.round === round)
  if (fresh === undefined) {
    ledger.endedRounds.push({ taskId, round, attempt, state, reason })
    return
  }
  fresh.state = state
  fresh.reason = reason
  const ended = ledger.endedAttempts.find((one) => one.taskId === taskId && one.attempt === attempt)
  if (ended !== undefined && state === 'passed') ended.outcome = 'completed'
}

/** Characters of what the next attempt is told. */
const MESSAGE_MAX = 8000
