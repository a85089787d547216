/** The statements of `store/verifications.ts`, and the parts of a saved ledger that are about verifications. */
import type { Session } from '../database.ts'
import type { VerificationRow } from '../rows.ts'
import { paramsAt, records } from '../statement.ts'
import type { Call, Statement } from '../statement.ts'
import { lockTasksWhere } from './load.ts'

const roundsOf = (session: Session, ids: readonly string[]): VerificationRow[] =>
  session.rows('verifications').filter((one) => ids.includes(one.task_id))

export const readRounds: Statement = {
  name: 'readRounds',
  marks: ['max(v.round) as rounds from verifications v'],
  run({ session, params }) {
    const most = new Map<string, number>()
    for (const { task_id, round } of roundsOf(session, params[0] as string[]))
      most.set(task_id, Math.max(round, most.get(task_id) ?? 0))
    return Array.from(most, ([task_id, rounds]) => ({ task_id, rounds }))
  },
}

export const lockVerifying: Statement = {
  name: 'lockVerifying',
  marks: ["and t.state = 'verifying' order by t.id for no key update of t"],
  run: async (call) =>
    lockTasksWhere(call, false, ({ id, state }) => (call.params[0] as string[]).includes(id) && state === 'verifying'),
}

export const lockReviewers: Statement = {
  name: 'lockReviewers',
  marks: ['from verifications v join tasks t on t.id = v.verifier_task_id'],
  async run(call) {
    const open = roundsOf(call.session, call.params[0] as string[]).filter((one) => one.state === 'open')
    const reviewers = new Set(open.map((one) => one.verifier_task_id))
    return await lockTasksWhere(call, true, ({ id, ended_at }) => reviewers.has(id) && ended_at === null)
  },
}

/** `insertRounds` */
export const insertRound = (session: Session, round: Omit<VerificationRow, 'decided_at'>): void =>
  session.insert('verifications', { ...round, decided_at: round.state === 'open' ? null : session.now })

type Ended = Pick<VerificationRow, 'task_id' | 'round' | 'state' | 'reason'>

/** The parts of `verificationParts` that change what is there. */
export const VERIFICATION_PARTS: Readonly<Record<string, (call: Call, part: string) => Promise<void>>> = {
  async rounds_ended(call, part) {
    for (const { task_id, round, state, reason } of records<Ended>(call, 'r', part))
      await decide(call, `${task_id}/${round}`, { state, reason })
  },
  async attempts_passed(call, part) {
    for (const { task_id, attempt } of records<{ task_id: string; attempt: number }>(call, 'r', part))
      await call.session.update('attempts', `${task_id}/${attempt}`, (a) =>
        a.outcome === 'delivered' ? { ...a, outcome: 'completed' } : undefined,
      )
  },
  async rounds_withdrawn(call, part) {
    const [ids] = paramsAt({ ...call, text: part }, /v\.task_id = any\(\$(\d+)::uuid\[\]\) and v\.state = 'open'/)
    for (const { task_id, round } of roundsOf(call.session, ids as string[]))
      await decide(call, `${task_id}/${round}`, { state: 'withdrawn' })
  },
}

const decide = async (
  { session }: Call,
  key: string,
  change: Pick<VerificationRow, 'state'> & Partial<VerificationRow>,
): Promise<void> =>
  session.update('verifications', key, (v) =>
    v.state === 'open' ? { ...v, ...change, decided_at: session.now } : undefined,
  )
