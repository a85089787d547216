/**
 * What the random histories of the conformance test come to too seldom: every reason for which a statement hands nothing over, and many
 * missions and claims in one statement, each on Postgres and on the model.
 */
import type { ClaimedTask, CompletionReport } from '@hypercode/contracts'
import { describe, expect } from 'vitest'
import { completeAttempts, reportOf } from '../../src/engine/complete.ts'
import { limitQueue, pauseQueue } from '../../src/engine/queues.ts'
import type { PlannedTask } from '../../src/manifest/compile.ts'
import { leaseTasks } from '../../src/store/lease.ts'
import { aPlan, plannedTask } from '../domain/builders.ts'
import { registerInstance, test } from '../harness.ts'
import { dump, withoutIds } from './compare.ts'
import { openCourse } from './course.ts'
import type { Course } from './course.ts'
import { waitingClaims } from './hands.ts'
import type { Waiting } from './hands.ts'
import { openModelSide, openRealSide } from './sides.ts'
import { orderOf, submitAll } from './submit.ts'
import type { Handed } from './submit.ts'

const LEASE_MS = 60_000
const SLOTS = 3

const code = (key: string, changes: Partial<PlannedTask> = {}): PlannedTask =>
  plannedTask(key, { queue: 'code', input: { of: key }, ...changes })

/** Of a task without references the input is not at hand when another one frees it. */
const behind = (key: string): PlannedTask =>
  code(key, { dependsOn: ['t0'], template: { input: '${tasks.t0.output}', reads: ['t0'] } })

const submit = async (
  course: Course,
  waiting: readonly Waiting[],
  plans: Readonly<Record<string, readonly PlannedTask[]>>,
): Promise<Handed> =>
  submitAll(
    course,
    Object.entries(plans).map(([key, tasks]) => orderOf(course, aPlan(tasks), key)),
    waitingClaims(course, waiting, LEASE_MS),
  )

/** Completes everything that was claimed, in one transaction. */
async function completeAll(course: Course, waiting: readonly Waiting[]): Promise<Handed> {
  const { side, agents } = course
  const reports = course.claimed.splice(0).map(({ task: { taskId, attempt }, agent, incarnation }) => {
    const { subject } = agents[agent] as Course['agents'][number]
    const report: CompletionReport = { taskId, attempt, outcome: 'completed', output: 'done' }
    return reportOf({ tenantId: side.tenantId, subject, incarnation, taskId, attempt }, report)
  })
  const claims = waitingClaims(course, waiting, LEASE_MS)
  const { results, saved } = await completeAttempts(side.db, reports, {
    handOver: (ledger) => claims.handOver([ledger]),
  })
  expect(results.every(({ status }) => status === 'accepted')).toBe(true)
  return { isHanded: saved.isHanded, given: claims.end(() => saved.isHanded) }
}

interface Scene {
  name: string
  /** Of the statement that is looked at, the last one. */
  isHanded: boolean
  /** How many tasks each claim is given. */
  given: readonly number[]
  play: (course: Course) => Promise<Handed>
}

const both: Waiting[] = [
  { agent: 0, max: 2 },
  { agent: 1, max: 2 },
]
const one: Waiting[] = [{ agent: 0, max: 1 }]
const order = ({ side: { tenantId } }: Course) => ({ tenantId, queue: 'code', actor: 'p' })

const SCENES: readonly Scene[] = [
  {
    name: 'several missions to several claims, with what none of them takes',
    isHanded: true,
    given: [2, 2],
    play: async (course) =>
      submit(course, both, {
        a: [
          code('t0'),
          code('t1', { timeouts: { attemptMs: 7000, heartbeatMs: 9000, queueMs: 5000, totalMs: 20_000 } }),
        ],
        b: [
          code('t0', { priority: 1 }),
          code('t1'),
          plannedTask('t2', { queue: 'other' }),
          code('t3', { dependsOn: ['t0'] }),
        ],
      }),
  },
  {
    name: 'a mission that met its idempotency key, beside one that is new',
    isHanded: true,
    given: [0, 1],
    async play(course) {
      await submit(course, one, { a: [code('t0')] })
      return await submit(
        course,
        [
          { agent: 0, max: 1 },
          { agent: 1, max: 1 },
        ],
        { a: [code('t0')], b: [code('t0')] },
      )
    },
  },
  {
    name: 'a task that is let go as it is planned',
    isHanded: true,
    given: [1],
    play: async (course) =>
      submit(course, one, {
        a: [code('t0', { template: { input: null, reads: [], when: 'false' } }), code('t1', { dependsOn: ['t0'] })],
      }),
  },
  {
    name: 'what several reports of several missions free',
    isHanded: true,
    given: [2, 1],
    async play(course) {
      const tasks = [code('t0'), behind('t1'), behind('t2')]
      await submit(course, both, { a: tasks, b: tasks.slice(0, 2) })
      return await completeAll(course, both)
    },
  },
  {
    name: 'what a report frees, to an agent that drains',
    isHanded: false,
    given: [0],
    async play(course) {
      await submit(course, one, { a: [code('t0'), behind('t1')] })
      await course.side.drain(course.agents[1] as Course['agents'][number])
      return await completeAll(course, [{ agent: 1, max: 1 }])
    },
  },
  {
    name: 'one of two agents drains',
    isHanded: false,
    given: [0, 0],
    async play(course) {
      await course.side.drain(course.agents[1] as Course['agents'][number])
      return await submit(course, both, { a: [code('t0'), code('t1')] })
    },
  },
  {
    name: 'a process that was replaced',
    isHanded: false,
    given: [0],
    async play(course) {
      await course.side.replace(course.agents[0] as Course['agents'][number])
      return await submit(course, [{ agent: 0, max: 1, isStale: true }], { a: [code('t0')] })
    },
  },
  {
    name: 'one slot too few',
    isHanded: false,
    given: [0],
    async play(course) {
      await submit(course, [{ agent: 0, max: 2 }], { a: [code('t0'), code('t1')] })
      return await submit(course, [{ agent: 0, max: SLOTS }], { b: [code('t0'), code('t1')] })
    },
  },
  {
    name: 'a queue that is paused',
    isHanded: false,
    given: [0],
    async play(course) {
      await pauseQueue(course.side.db, order(course))
      return await submit(course, one, { a: [code('t0')] })
    },
  },
  {
    name: 'a queue that is limited',
    isHanded: false,
    given: [0],
    async play(course) {
      await limitQueue(course.side.db, order(course), 5)
      return await submit(course, one, { a: [code('t0')] })
    },
  },
  {
    name: 'a queue in which another task stands',
    isHanded: false,
    given: [0],
    async play(course) {
      await submit(course, [], { a: [code('t0')] })
      return await submit(course, one, { b: [code('t0', { priority: 1 })] })
    },
  },
  {
    name: 'another queue in which a task stands',
    isHanded: true,
    given: [1],
    async play(course) {
      await submit(course, [], { a: [plannedTask('t0', { queue: 'test' })] })
      return await submit(course, one, { b: [code('t0')] })
    },
  },
]

describe('Postgres and the model of the simulation hand over the same', () => {
  test.for(SCENES.map((scene) => [scene.name, scene] as const))('%s', async ([, scene], { db, tenant }) => {
    const sides = [openRealSide(db, tenant.id, registerInstance), openModelSide(tenant.id)]
    const played = await Promise.all(
      sides.map(async (side) => {
        const course = await openCourse(side)
        const { given, ...answer } = await side.run(async () => scene.play(course))
        expect({ isHanded: answer.isHanded, given: given.map(({ length }) => length) }).toEqual({
          isHanded: scene.isHanded,
          given: scene.given,
        })
        const repeated = await side.run(async () => repeatClaims(course))
        expect(repeated, 'who repeats a claim is told the same').toEqual(
          course.claimed.map(({ task }) => withoutTime(task)),
        )
        return withoutIds(course, { answer, given, stored: await dump(course) })
      }),
    )
    expect(played[1]).toEqual(played[0])
  })
})

/** What the claims that were given tasks are told when they come once more. */
async function repeatClaims({ side, agents, claimed }: Course): Promise<unknown[]> {
  const told: unknown[] = []
  for (const [claimId, [first]] of Map.groupBy(claimed, (one) => one.claimId)) {
    const { agent, incarnation } = first as Course['claimed'][number]
    const { subject, skills } = agents[agent] as Course['agents'][number]
    const ask = { claimId, subject, incarnation, max: 1 }
    const { answers } = await leaseTasks(side.db, side.tenantId, skills, [ask], LEASE_MS)
    for (const answer of answers) if (answer.kind === 'tasks') told.push(...answer.tasks.map(withoutTime))
  }
  return told
}

/** What is left of the time of an attempt is less at each look. */
const withoutTime = ({ attemptTimeoutMs, ...task }: ClaimedTask): object => ({
  ...task,
  isLimited: attemptTimeoutMs !== undefined,
})
