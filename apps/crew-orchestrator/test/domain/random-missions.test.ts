import { MISSION_EVENTS } from '@hypercode/contracts'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isCompensation } from '../../src/domain/compensate.ts'
import type { Compensation, TaskFacts } from '../../src/domain/facts.ts'
import type { Ending } from '../../src/domain/end-attempt.ts'
import { move } from '../../src/domain/ledger.ts'
import type { Ledger } from '../../src/domain/ledger.ts'
import { operate } from '../../src/domain/operate.ts'
import { DEFAULT_RETRY } from '../../src/domain/retry.ts'
import { isTerminal } from '../../src/domain/states.ts'
import type { Verify } from '../../src/domain/verify-terms.ts'
import type { PlannedTask } from '../../src/manifest/compile.ts'
import { NO_TIMEOUTS, aPlan, plannedTask } from './builders.ts'
import { World } from './world.ts'

/** Tasks in an order in which each can only wait for earlier ones. */
const dag = fc
  .array(
    fc.record({
      parents: fc.array(fc.nat(), { maxLength: 3 }),
      kind: fc.constantFrom('plain', 'plain', 'plain', 'skipped', 'forEach', 'forEachOfOutput'),
      size: fc.nat(3),
      pauses: fc.boolean(),
      tolerates: fc.boolean(),
      check: fc.constantFrom<Verify | null>(
        null,
        null,
        { kind: 'schema', schema: { type: 'array' }, maxRounds: 2 },
        { kind: 'agent', skill: 'review', maxRounds: 2 },
      ),
      undoes: fc.boolean(),
    }),
    { minLength: 1, maxLength: 12 },
  )
  .map((nodes) =>
    nodes.map(({ parents, kind, size, pauses, tolerates, check, undoes }, index): PlannedTask => {
      const dependsOn = index === 0 ? [] : [...new Set(parents.map((parent) => `t${parent % index}`))]
      const first = dependsOn[0]
      const forEach =
        kind === 'forEach'
          ? Array.from({ length: size }, (_, item) => item)
          : kind === 'forEachOfOutput' && first !== undefined
            ? `\${tasks.${first}.output}`
            : undefined
      return plannedTask(`t${index}`, {
        dependsOn,
        retry: { ...plannedTask('x').retry, onExhausted: pauses ? 'pause' : 'fail' },
        policy: {
          ...(tolerates && forEach !== undefined ? { childFailure: 'continue' } : {}),
          ...(check === null ? {} : { verify: check }),
          ...(undoes ? { compensate: compensation(pauses) } : {}),
        },
        template:
          kind === 'plain'
            ? null
            : {
                input: dependsOn.map((key) => `\${tasks.${key}.state}`),
                reads: dependsOn,
                ...(forEach === undefined ? {} : { forEach }),
                ...(kind === 'skipped' ? { when: 'false' } : {}),
              },
      })
    }),
  )

const compensation = (pauses: boolean): Compensation => ({
  queue: 'undo',
  requires: [],
  retry: { ...DEFAULT_RETRY, onExhausted: pauses ? 'pause' : 'fail' },
  timeouts: NO_TIMEOUTS,
})

const failure = (retryable: boolean): Ending => ({
  kind: 'failed',
  outcome: 'failed',
  error: { code: 'boom', message: 'm' },
  failure: { code: 'boom', retryable },
})
const ending = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.constantFrom<Ending>(
      { kind: 'completed', output: ['a', 'b'], outputHash: '', chars: 9 },
      { kind: 'completed', output: 'no list', outputHash: '', chars: 9 },
    ),
  },
  { weight: 2, arbitrary: fc.constant(failure(true)) },
  { weight: 1, arbitrary: fc.constant(failure(false)) },
  { weight: 1, arbitrary: fc.constantFrom<Ending>({ kind: 'released' }, { kind: 'canceled' }) },
  {
    weight: 1,
    arbitrary: fc.constant<Ending>({ kind: 'rejected', error: { code: 'no', message: 'm' } }),
  },
)
const act = fc.record({
  pick: fc.nat(),
  what: fc.constantFrom('claim', 'claim', 'claim', 'end', 'end', 'end', 'due', 'resolve', 'replay', 'resume'),
  ending,
})

/** What must hold after every decision. */
function expectSound(world: World): void {
  expect(world.mission.openTasks).toBe(world.open)
  expect(world.mission.totalTasks).toBe(world.tasks.length)
  expect(world.over).toBe(world.open === 0)
  expect(world.events.map((event) => event.seq)).toEqual(world.events.map((_, index) => index + 1))
  for (const task of world.tasks) {
    const parents = world.parentsOf(task)
    if (task.state === 'blocked' || task.state === 'waiting')
      expect(task.blockedBy).toBe(parents.filter((parent) => !isTerminal(parent.state)).length)
    if (!isCompensation(task) && ['queued', 'scheduled', 'executing', 'paused', 'completed'].includes(task.state))
      expectDone(parents.filter((parent) => parent.policy?.tolerated !== true))
    expect(task.attempt).toBeLessThanOrEqual(task.maxAttempts)
    expect(task.held).toBe(task.state === 'queued' && world.mission.state === 'paused')
    expectVerified(world, task)
  }
  if (!world.over && (!world.mission.canceling || world.mission.compensating))
    expect(world.in('queued', 'scheduled', 'executing', 'paused').length, 'something can go on').toBeGreaterThan(0)
}

/** V1 and V2: completed by a round that passed, and one is open while it is verifying. */
function expectVerified(world: World, task: TaskFacts): void {
  if (task.policy?.verify === undefined || task.template?.forEach !== undefined) return
  const rounds = world.rounds.get(task.id) ?? []
  if (task.state === 'completed') {
    expect(rounds.at(-1)).toBe('passed')
    if (task.policy.verify.kind === 'schema') expect(task.output).toBeInstanceOf(Array)
    else expect(world.task(`${task.key}:verify:${rounds.length}`).output).toMatchObject({ passed: true })
  } else expect(rounds).not.toContain('passed')
  if (task.state === 'verifying') expect(rounds.at(-1)).toBe('open')
  expect(rounds.length).toBeLessThanOrEqual(task.attempt)
}

/** What an agent reports; one that verifies says whether the output passed. */
const reportOf = (task: TaskFacts, end: Ending): Ending =>
  task.policy?.verifies === undefined || end.kind !== 'completed'
    ? end
    : { ...end, output: { passed: Array.isArray(end.output), reason: 'no list' } }

/** Each completed task that says how was undone once, one after the other, the last one first; and nothing was in a mission that went well. */
function expectUndone(world: World): number {
  const undoable = world.completed.filter(
    ({ policy, template }) => policy?.compensate !== undefined && template?.forEach === undefined,
  )
  const told = world.events.filter(({ taskId }) =>
    world.tasks.some((task) => task.id === taskId && isCompensation(task)),
  )
  const wanted = world.mission.state === 'completed' ? [] : undoable.toReversed().map(({ key }) => `${key}:compensate`)
  const begun = [...new Set(told.map(({ body }) => body['key']))]
  expect(begun).toEqual(wanted)
  expect(world.tasks.filter(isCompensation)).toHaveLength(wanted.length)
  // What is told of one is told before anything is told of the next.
  expect(told.map(({ body }) => body['key'])).toEqual(
    told.map(({ body }) => body['key']).toSorted((a, b) => begun.indexOf(a) - begun.indexOf(b)),
  )
  return wanted.length
}

/** Completed, or left out by its own condition. */
function expectDone(parents: readonly TaskFacts[]): void {
  for (const parent of parents) {
    expect(['completed', 'skipped']).toContain(parent.state)
    if (parent.state === 'skipped') expect(parent.error).toBeNull()
  }
}

/** Lets it go on, skips what cannot, or gives it up. */
function again(ledger: Ledger, task: TaskFacts, to: 'queued' | 'failed'): void {
  if (to === 'failed') move(ledger, task, 'failed')
  else if (operate(ledger, task, 'retry', 'by a person') !== undefined) operate(ledger, task, 'skip', 'by a person')
}

function step(world: World, { pick, what, ending: end }: typeof act extends fc.Arbitrary<infer T> ? T : never): void {
  const one = (tasks: TaskFacts[]): TaskFacts | undefined => tasks[pick % Math.max(1, tasks.length)]
  if (what === 'claim') {
    const task = one(world.in('queued').filter(({ held }) => !held))
    if (task !== undefined) world.claim(task)
  } else if (what === 'end') {
    const task = one(world.in('executing'))
    if (task !== undefined) world.end(task, reportOf(task, end))
  } else if (what === 'resume') {
    if (world.mission.state === 'paused') world.resume()
  } else {
    // A wait is over, or a person has looked at what was paused.
    const task = one(what === 'due' ? world.in('scheduled') : world.in('paused'))
    if (task !== undefined) world.decide((ledger) => again(ledger, task, what === 'resolve' ? 'failed' : 'queued'))
  }
}

test('any crew and any course of events: what is counted is right, order is kept, and the mission ends', () => {
  let completed = 0
  let undone = 0
  fc.assert(
    fc.property(
      dag,
      fc.constantFrom('fail', 'continue', 'pause'),
      fc.array(act, { maxLength: 80 }),
      fc.option(fc.nat(80)),
      (tasks, onTaskFailure, acts, cancelAt) => {
        const world = new World(aPlan(tasks, { onTaskFailure }))
        expectSound(world)
        for (const [index, one] of acts.entries()) {
          if (index === cancelAt && !world.over) world.cancel()
          step(world, one)
          expectSound(world)
        }
        driveToTheEnd(world)
        expectEnded(world)
        undone += expectUndone(world)
        if (world.mission.state === 'completed') completed += 1
      },
    ),
    { numRuns: 400 },
  )
  expect(completed).toBeGreaterThan(10)
  expect(undone).toBeGreaterThan(20)
})

function driveToTheEnd(world: World): void {
  for (let turns = 0; !world.over; turns += 1) {
    if (turns > 2000) throw new Error('the mission does not end')
    if (world.mission.state === 'paused') world.resume()
    const [task] = world.in('executing', 'queued', 'scheduled', 'paused')
    if (task === undefined) throw new Error('nothing can go on')
    if (task.state === 'executing')
      world.end(task, reportOf(task, { kind: 'completed', output: ['a', 'b'], outputHash: '', chars: 9 }))
    else if (task.state === 'queued') world.claim(task)
    else world.decide((ledger) => again(ledger, task, 'queued'))
    expectSound(world)
  }
}

function expectEnded(world: World): void {
  const { mission, tasks, events } = world
  expect(tasks.every((task) => isTerminal(task.state))).toBe(true)
  const clean = tasks.every(
    (task) =>
      task.state === 'completed' ||
      (task.state === 'skipped' && task.error === null) ||
      // Nobody waits for what may fail but its forEach, which counts it as an end.
      (task.policy?.tolerated === true && (task.state !== 'canceled' || !mission.canceling)),
  )
  // A cancel that comes when nothing waits any more changes nothing but the name of the end.
  if (mission.state === 'completed') expect(clean).toBe(true)
  else expect(clean && !mission.canceling).toBe(false)
  const ends = events.filter((event) =>
    ['mission.completed', 'mission.failed', 'mission.canceled'].includes(event.type),
  )
  expect(ends).toHaveLength(1)
  expect(events.at(-1)).toBe(ends[0])
  for (const { type } of events) expect(MISSION_EVENTS).toContain(type)
  // Every end of a task was told once.
  const told = events.filter((event) => /^task\.(completed|failed|canceled|rejected|skipped)$/.test(event.type))
  expect(new Set(told.map((event) => event.taskId)).size).toBe(tasks.length)
  expect(told).toHaveLength(tasks.length)
}
