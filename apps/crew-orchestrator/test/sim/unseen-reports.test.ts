/**
 * Reports that are decided on what a process remembers of the tasks that it handed over: each on Postgres and on the model, and beside the
 * same report taken with a look.
 */
import type { CompletionReport } from '@hypercode/contracts'
import type { Db } from '@hypercode/db'
import { waitFor } from '@hypercode/testkit'
import { sql } from 'kysely'
import { describe, expect } from 'vitest'
import { cancelMission } from '../../src/engine/cancel.ts'
import { completeHanded } from '../../src/engine/complete-handed.ts'
import { completeAttempts, reportOf } from '../../src/engine/complete.ts'
import type { Report } from '../../src/engine/complete.ts'
import { pauseMission } from '../../src/engine/pause.ts'
import type { PlannedTask } from '../../src/manifest/compile.ts'
import { recordStep } from '../../src/store/journal.ts'
import { aPlan, plannedTask } from '../domain/builders.ts'
import { registerInstance, test } from '../harness.ts'
import { expectInvariants } from '../invariants.ts'
import { dump, withoutIds } from './compare.ts'
import { openCourse } from './course.ts'
import type { Course } from './course.ts'
import { waitingClaims } from './hands.ts'
import { openModelSide, openRealSide } from './sides.ts'
import type { Side } from './sides.ts'
import { orderOf, submitAll } from './submit.ts'

const LEASE_MS = 60_000

/** Missions that are handed to agent 0 as they are stored. */
async function hand(course: Course, ...missions: (readonly PlannedTask[])[]): Promise<void> {
  const orders = missions.map((tasks, index) => orderOf(course, aPlan(tasks), `order-${index}`))
  const { isHanded } = await submitAll(course, orders, waitingClaims(course, [{ agent: 0, max: 3 }], LEASE_MS))
  expect(isHanded).toBe(true)
}

const task = (key: string, changes: Partial<PlannedTask> = {}): PlannedTask =>
  plannedTask(key, { queue: 'code', input: { of: key }, ...changes })

const DONE = { outcome: 'completed', output: { said: 'done' } } as const

/** By agent 0, of everything that was claimed. */
function reports(
  { side, agents, claimed }: Course,
  said: Omit<CompletionReport, 'taskId' | 'attempt'> = DONE,
): Report[] {
  const { subject } = agents[0] as Course['agents'][number]
  return claimed.map(({ task: { taskId, attempt }, incarnation }) =>
    reportOf({ tenantId: side.tenantId, subject, incarnation, taskId, attempt }, { taskId, attempt, ...said }),
  )
}

/** As the engine takes them. */
async function take(course: Course, batch: readonly Report[]): Promise<object> {
  const { db } = course.side
  const known = course.handed.take(batch)
  const unseen = known && (await completeHanded(db, batch, known, () => false))
  const { results, saved } = unseen ?? (await completeAttempts(db, batch))
  const { ended, told, queued } = saved
  return { isUnseen: unseen !== undefined, results, ended, told, queued }
}

const firstOf = ({ side: { tenantId }, missions }: Course) => ({
  tenantId,
  missionId: missions[0] as string,
  actor: 'p',
})

interface Scene {
  name: string
  isUnseen: boolean
  statuses: readonly string[]
  /** Until the reports; answers them. */
  prepare: (course: Course) => Promise<readonly Report[]>
}

const alone = [task('t0')]

const SCENES: readonly Scene[] = [
  {
    name: 'the only task of a mission',
    isUnseen: true,
    statuses: ['accepted'],
    async prepare(course) {
      await hand(course, alone)
      return reports(course)
    },
  },
  {
    name: 'the tasks of several missions at once',
    isUnseen: true,
    statuses: ['accepted', 'accepted', 'accepted'],
    async prepare(course) {
      await hand(course, alone, alone, alone)
      return reports(course)
    },
  },
  {
    name: 'a task beside another one of its mission',
    isUnseen: false,
    statuses: ['accepted'],
    async prepare(course) {
      await hand(course, [task('t0'), task('t1', { dependsOn: ['t0'] })])
      return reports(course)
    },
  },
  {
    name: 'the same one twice at once',
    isUnseen: false,
    statuses: ['accepted', 'replayed'],
    async prepare(course) {
      await hand(course, alone)
      return [...reports(course), ...reports(course)]
    },
  },
  {
    name: 'one that was taken before',
    isUnseen: false,
    statuses: ['replayed'],
    async prepare(course) {
      await hand(course, alone)
      await take(course, reports(course))
      return reports(course)
    },
  },
  {
    name: 'an attempt that failed',
    isUnseen: false,
    statuses: ['accepted'],
    async prepare(course) {
      await hand(course, alone)
      return reports(course, { outcome: 'rejected', error: { code: 'no', message: 'm', retryable: false } })
    },
  },
  {
    name: 'an output that has to be verified',
    isUnseen: false,
    statuses: ['accepted'],
    async prepare(course) {
      await hand(course, [task('t0', { policy: { verify: { kind: 'agent', skill: 'test', maxRounds: 2 } } })])
      return reports(course)
    },
  },
  {
    name: 'an output that a schema lets pass at once',
    isUnseen: false,
    statuses: ['accepted'],
    async prepare(course) {
      await hand(course, [task('t0', { policy: { verify: { kind: 'schema', schema: {}, maxRounds: 2 } } })])
      return reports(course)
    },
  },
  {
    name: 'by a process that was replaced',
    isUnseen: false,
    statuses: ['stale'],
    async prepare(course) {
      await hand(course, alone)
      await course.side.replace(course.agents[0] as Course['agents'][number])
      return reports(course)
    },
  },
  {
    name: 'by another agent',
    isUnseen: false,
    statuses: ['stale'],
    async prepare(course) {
      await hand(course, alone)
      course.agents.reverse()
      return reports(course)
    },
  },
  {
    name: 'in a mission that was paused since',
    isUnseen: false,
    statuses: ['accepted'],
    async prepare(course) {
      await hand(course, alone)
      await pauseMission(course.side.db, firstOf(course))
      return reports(course)
    },
  },
  {
    name: 'in a mission that is being canceled since, beside one that is not',
    isUnseen: false,
    statuses: ['accepted', 'accepted'],
    async prepare(course) {
      await hand(course, alone, alone)
      await cancelMission(course.side.db, { ...firstOf(course), reason: undefined })
      return reports(course)
    },
  },
  {
    name: 'behind a step',
    isUnseen: false,
    statuses: ['accepted'],
    async prepare(course) {
      await hand(course, alone)
      const [one] = reports(course) as [Report]
      await recordStep(course.side.db, one, { name: 's', response: 1 })
      return [one]
    },
  },
]

describe('Postgres and the model of the simulation take without a look', () => {
  test.for(SCENES.map((scene) => [scene.name, scene] as const))('%s', async ([, scene], { db, tenant }) => {
    const play = async (side: Side, answer: (course: Course, batch: readonly Report[]) => Promise<object>) => {
      const course = await openCourse(side)
      const told = await side.run(async () => answer(course, await scene.prepare(course)))
      return { told: withoutIds(course, told), stored: withoutIds(course, await dump(course)) }
    }
    const real = await play(openRealSide(db, tenant.id, registerInstance), take)
    expect(real.told).toMatchObject({
      isUnseen: scene.isUnseen,
      results: scene.statuses.map((status) => ({ status })),
    })
    expect(await play(openModelSide(tenant.id), take)).toEqual(real)
    const looked = await play(openModelSide(tenant.id), async ({ side }, batch) => {
      const { results, saved } = await completeAttempts(side.db, batch)
      return { isUnseen: scene.isUnseen, results, ended: saved.ended, told: saved.told, queued: saved.queued }
    })
    expect(looked).toEqual(real)
  })
})

const CHANGES = [
  ['a pause of the mission, and is not taken', `update missions set state = 'paused', version = version + 1`, false],
  ['a beat of the instance, and is taken', `update tasks set lease_expires_at = now() + interval '1 hour'`, true],
  ['a look at the mission, and is taken', `select from missions for update`, true],
] as const

test.for(CHANGES)('a report without a look waits for %s', async ([, change, isTaken], { db, tenant }) => {
  const course = await openCourse(openRealSide(db, tenant.id, registerInstance))
  await hand(course, alone)
  const batch = reports(course)
  const known = course.handed.take(batch)
  expect(known).toHaveLength(1)
  const begun = await db.startTransaction().execute()
  await sql.raw(change).execute(begun)
  const answer = completeHanded(db, batch, known ?? [], () => false)
  await waitFor(async () => (await waitingForLocks(db)) > 0, { what: 'the report waits' })
  await begun.commit().execute()
  expect((await answer) !== undefined).toBe(isTaken)
  expect(await db.selectFrom('tasks').select(['state', 'version']).execute()).toEqual([
    isTaken ? { state: 'completed', version: 2 } : { state: 'executing', version: 1 },
  ])
  if (isTaken) await expectInvariants(db)
})

async function waitingForLocks(db: Db): Promise<number> {
  const found = await sql<{ n: number }>`
    select count(*)::int as n from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`.execute(
    db,
  )
  return found.rows[0]?.n ?? 0
}
