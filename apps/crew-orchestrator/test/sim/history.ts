import { newId } from '@hypercode/contracts'
import type { ClaimedTask, CompletionReport, Wait } from '@hypercode/contracts'
import { deleteSent, takeDue } from '@hypercode/events'
import { cancelMission } from '../../src/engine/cancel.ts'
import { completeAttempts, reportOf } from '../../src/engine/complete.ts'
import { completeHanded } from '../../src/engine/complete-handed.ts'
import { pauseMission, resumeMission } from '../../src/engine/pause.ts'
import { signalMission } from '../../src/engine/signal.ts'
import { waitingClaims } from './hands.ts'
import { orderOf, submitAll } from './submit.ts'
import { sweepTurn } from '../../src/engine/sweep.ts'
import { leaseTasks } from '../../src/store/lease.ts'
import { lookForWork } from '../../src/store/look-for-work.ts'
import type { TaskPolicy } from '../../src/domain/facts.ts'
import type { HandOver } from '../../src/domain/hand-over.ts'
import type { Ledger } from '../../src/domain/ledger.ts'
import type { CrewPlan } from '../../src/manifest/compile.ts'
import { randomCrew } from '../../sim/crews.ts'
import type { Random } from '../../sim/random.ts'
import { ATTEMPT_ACTS, beginEffects } from './attempt-acts.ts'
import { dump, withoutIds } from './compare.ts'
import { PEOPLE_ACTS } from './people-acts.ts'
import { openCourse, pick, pickClaimed, settled, sorted } from './course.ts'
import type { Act, Course, Dice } from './course.ts'
import type { Agent, Side } from './sides.ts'

export interface History {
  /** Does the next thing on both sides; says what. */
  step(): Promise<string>
  /** What each side answered. */
  readonly answers: unknown[]
  /** What each side holds, without ids. */
  stored(): Promise<unknown[]>
  /** Reports that were taken. */
  readonly accepted: number
  /** Statements that handed over what they queued. */
  readonly handed: number
  /** Reports that were decided without a look. */
  readonly unseen: number
}

export async function openHistory(sides: readonly Side[], random: Random): Promise<History> {
  const courses = await Promise.all(sides.map(openCourse))
  let answers: unknown[] = []
  let accepted = 0
  let orders = 0
  let handed = 0
  let unseen = 0
  return {
    get unseen() {
      return unseen
    },
    get handed() {
      return handed
    },
    get answers() {
      return answers
    },
    get accepted() {
      return accepted
    },
    async step() {
      const name = random.pick(PLAN)
      if (name === 'submit' && random.chance(0.8)) orders += 1
      const dice: Dice = {
        crew: calm(randomCrew(random)),
        key: `order-${Math.max(1, orders)}`,
        hash: random.chance(0.9) ? 'aa' : 'bb',
        at: random.next(),
        other: random.next(),
        kind: random.next(),
        // One at most: of two tasks of a mission that begin together Postgres would say which is late first.
        waiting: random.chance(0.6) ? [{ agent: random.int(0, 1), max: 1, isStale: random.chance(0.05) }] : [],
      }
      answers = []
      for (const course of courses) {
        await course.side.pass(BREATH_MS)
        const answer = await course.side.run(async () => settled(ACTS[name](course, dice)))
        const swept = await course.side.run(async () => sweep(course))
        answers.push(withoutIds(course, { answer, swept }))
      }
      if (JSON.stringify(answers[0]).includes('accepted') && name === 'report') accepted += 1
      if (JSON.stringify(answers[0]).includes('"isHanded":true')) handed += 1
      if (JSON.stringify(answers[0]).includes('"isUnseen":true')) unseen += 1
      return name
    },
    stored: async () => Promise.all(courses.map(async (course) => withoutIds(course, await dump(course)))),
  }
}

/** Nothing that real chance or the real time would decide, and nothing that is due at the same instant as something else. */
const calm = (crew: CrewPlan): CrewPlan => ({
  ...crew,
  deadlineMs: crew.deadlineMs === null ? null : 33_500,
  tasks: crew.tasks.map((task, index) => {
    const { attemptMs, heartbeatMs, totalMs } = task.timeouts
    const isAlone = task.template?.forEach === undefined
    return {
      ...task,
      retry: { ...task.retry, initialIntervalMs: 0 },
      policy: calmTerms(task.policy),
      timeouts: {
        queueMs: index % 2 === 0 || !isAlone ? null : 21_400 + 1000 * index,
        attemptMs: attemptMs === null ? null : 9500,
        heartbeatMs: heartbeatMs === null ? null : 13_900,
        totalMs: totalMs === null || !isAlone ? null : 29_600 + 1000 * index,
      },
    }
  }),
})

const calmTerms = (policy: TaskPolicy | null): TaskPolicy | null => {
  if (policy?.approval === undefined) return policy
  const { deadlineMs, ...terms } = policy.approval
  return { ...policy, approval: { ...terms, deadlineMs: deadlineMs === null ? null : 15_900 } }
}

const PLAN = [
  ...(['submit', 'submit', 'submit', 'submit'] as const),
  ...([
    'claim',
    'claim',
    'claim',
    'claim',
    'claim',
    'report',
    'report',
    'report',
    'report',
    'report',
    'report',
  ] as const),
  ...(['cancel', 'pause', 'resume', 'resume', 'signal', 'replace'] as const),
  ...([
    'step',
    'effect',
    'effect',
    'effect',
    'effect',
    'resolve',
    'resolve',
    'resolve',
    'resolve',
    'progress',
    'queue',
    'queue',
    'operate',
    'operate',
    'relay',
    'decide',
    'decide',
    'decide',
    'decide',
    'decide',
  ] as const),
] as const

/**
 * Between two steps. All spans here end well beside what these add up to, and so do the ten seconds that a turn counts, so that how fast
 * the machine is decides nothing.
 */
const BREATH_MS = 1030
const LEASE_MS = 11_800

/** After each step, so that no two tasks of a mission are due in one turn for the same instant: their order would be Postgres's own. */
async function sweep({ side }: Course): Promise<unknown> {
  const brake = { allow: (_: number, expired: number) => expired, failed: () => undefined, holding: false }
  const faults: unknown[] = []
  await sweepTurn({
    db: side.db,
    brake,
    cancelGraceMs: 5500,
    onSaved: () => undefined,
    onFault: (error) => faults.push(error),
  })
  return { faults }
}

const ACTS: Readonly<Record<(typeof PLAN)[number], Act>> = {
  ...ATTEMPT_ACTS,
  ...PEOPLE_ACTS,
  submit: async (course, { crew, key, hash, waiting }) =>
    submitAll(course, [orderOf(course, crew, key, hash)], waitingClaims(course, waiting, LEASE_MS)),
  async claim(course, { at, other, kind }) {
    const { side, agents, claimed } = course
    const index = Math.floor(at * agents.length)
    const agent = agents[index] as Agent
    const { skills } = agent
    const before = kind < 0.2 ? pick(claimed, other) : undefined
    const claimId = before?.claimId ?? newId()
    const ask = {
      claimId,
      subject: agent.subject,
      incarnation: kind > 0.93 ? agent.incarnation - 1 : agent.incarnation,
      max: 1,
    }
    const look = await lookForWork(side.db, side.tenantId, skills, [ask])
    const { answers, contended } = await leaseTasks(side.db, side.tenantId, skills, [ask], LEASE_MS)
    const [answer] = answers
    if (answer?.kind === 'tasks') {
      for (const task of answer.tasks) {
        claimed.push({ task, claimId, agent: index, incarnation: agent.incarnation })
      }
    }
    const given = answer?.kind === 'tasks' ? answer.tasks : []
    const begun = other < 0.6 ? await beginEffects(course, given, agent) : []
    return { look, answer, contended, begun }
  },
  async report(course, dice) {
    const { side } = course
    const { other, kind, waiting } = dice
    const one = pickClaimed(course, dice)
    if (one === undefined) return 'nothing'
    const report = randomReport(one.task, kind)
    const twice = other > 0.9 ? [report, report] : [report]
    const claims = waitingClaims(course, waiting, LEASE_MS)
    const reports = twice.map((each) => reportOf(one.fence, each))
    const known = course.handed.take(reports)
    const unseen = known && (await completeHanded(side.db, reports, known, () => false))
    const handOver = (ledger: Ledger): HandOver => claims.handOver([ledger])
    const { results, saved } = unseen ?? (await completeAttempts(side.db, reports, { handOver }))
    const given = claims.end(() => saved.isHanded)
    const { ended, told, isHanded } = saved
    return { results, queued: sorted(saved.queued), ended, told, isHanded, given, isUnseen: unseen !== undefined }
  },
  async cancel({ side, missions }, { at, other }) {
    const missionId = pick(missions.slice(-4), other)
    if (missionId === undefined || at > 0.5) return 'nothing'
    const { queued, ended } = await cancelMission(side.db, {
      tenantId: side.tenantId,
      missionId,
      actor: 'c',
      reason: undefined,
    })
    return { queued, ended }
  },
  async pause({ side, missions }, { at, kind }) {
    const missionId = pick(missions.slice(-4), at)
    if (missionId === undefined || kind > 0.8) return 'nothing'
    return (await pauseMission(side.db, { tenantId: side.tenantId, missionId, actor: 'c' })).told
  },
  async resume({ side, missions }, { at }) {
    const missionId = pick(missions.slice(-4), at)
    if (missionId === undefined) return 'nothing'
    return (await resumeMission(side.db, { tenantId: side.tenantId, missionId, actor: 'c' })).told
  },
  async signal({ side, missions }, { at, key }) {
    const missionId = pick(missions.slice(-4), at)
    if (missionId === undefined) return 'nothing'
    const order = { tenantId: side.tenantId, missionId, actor: 'c', signal: { name: 'go' }, idempotencyKey: key }
    const { answer, saved } = await signalMission(side.db, order)
    return { taskId: answer.taskId, queued: sorted(saved.queued) }
  },
  async relay({ side }) {
    await side.ripen()
    const rows = (await takeDue(side.db, 3)).toSorted((a, b) => a.id - b.id)
    const sent = rows.slice(1)
    await deleteSent(
      side.db,
      sent.map((row) => row.id),
    )
    return rows.map((row) => row.hints)
  },
  async replace({ side, agents }, { at }) {
    await side.replace(pick(agents, at) as Agent)
  },
}

function randomReport({ taskId, attempt }: ClaimedTask, kind: number): CompletionReport {
  const about = { taskId, attempt }
  if (kind < 0.48) return { ...about, outcome: 'completed', output: [1, 'a'] }
  if (kind < 0.6) return { ...about, outcome: 'failed', error: { code: 'boom', message: 'm', retryable: true } }
  if (kind < 0.63) return { ...about, outcome: 'rejected', error: { code: 'no', message: 'm', retryable: false } }
  if (kind < 0.69) return { ...about, outcome: 'released' }
  if (kind < 0.72) return { ...about, outcome: 'canceled' }
  if (kind < 0.78) return { ...about, outcome: 'waiting', wait: { kind: 'timer', name: 'w', delayMs: 5500 } }
  if (kind < 0.85) return { ...about, outcome: 'waiting', wait: ASKS }
  if (kind < 0.93)
    return { ...about, outcome: 'waiting', wait: { kind: 'signal', name: 's', signal: 'go', timeoutMs: 9500 } }
  return { ...about, outcome: 'completed', output: null }
}

const ASKS: Wait = {
  ...{ kind: 'approval', name: 'a', title: 'may it?', approvers: ['ann', 'bob'], quorum: 2, onTimeout: 'approve' },
  ...{ deadlineMs: 17_000, escalate: { afterMs: 3500, approvers: ['cyd'] } },
}
