import type { ApprovalTerms } from '../src/domain/approvals.ts'
import type { Compensation, TaskPolicy } from '../src/domain/facts.ts'
import type { Verify } from '../src/domain/verify-terms.ts'
import { DEFAULT_RETRY } from '../src/domain/retry.ts'
import type { CrewPlan, PlannedTask } from '../src/manifest/compile.ts'
import type { Random } from './random.ts'

export const SKILLS = ['plan', 'code', 'test'] as const

/** Tasks of all crews share them. */
const KEYS = [
  { key: 'one at a time', limit: 1 },
  { key: 'two at a time', limit: 2 },
] as const

/** The key of a task that is alone in its mission; its agent uses no tools. */
export const ALONE = 'alone'

/** A crew of some tasks that wait for each other, fan out, are left out, and are tried again or not; every fourth of a single plain one. */
export function randomCrew(random: Random): CrewPlan {
  const tasks = random.chance(0.25)
    ? [{ ...randomTask(random, 0), key: ALONE, template: null, policy: null, concurrency: null }]
    : Array.from({ length: random.int(1, 6) }, (_, index) => randomTask(random, index))
  const needed = new Set(tasks.flatMap((task) => task.dependsOn))
  return {
    crew: 'crew',
    tasks: tasks.map((task) => ({ ...task, leaf: !needed.has(task.key) })),
    onTaskFailure: random.pick(['fail', 'continue', 'pause'] as const),
    deadlineMs: random.chance(0.1) ? random.int(4000, 20_000) : null,
    budget: null,
    blueprints: [],
    chars: 0,
  }
}

function randomTask(random: Random, index: number): PlannedTask {
  const dependsOn =
    index === 0 ? [] : [...new Set(Array.from({ length: random.int(0, 2) }, () => `t${random.int(0, index - 1)}`))]
  const kind = random.pick(['plain', 'plain', 'plain', 'filled', 'forEach', 'left out'] as const)
  // What a dependency does not say fails the task before it begins.
  const member = random.chance(0.15) ? '.missing' : ''
  const input = dependsOn.map((key) => `\${tasks.${key}.output${member}}`)
  return {
    key: `t${index}`,
    queue: random.pick(SKILLS),
    requires: random.chance(0.3) ? [random.pick(SKILLS)] : [],
    priority: random.int(-1, 1),
    dependsOn,
    leaf: true,
    retry: {
      ...DEFAULT_RETRY,
      maxAttempts: random.int(1, 3),
      initialIntervalMs: random.pick([0, 200, 1500]),
      nonRetryable: ['hopeless'],
      onExhausted: random.chance(0.15) ? 'pause' : 'fail',
    },
    timeouts: {
      queueMs: random.chance(0.05) ? 15_000 : null,
      attemptMs: random.chance(0.15) ? 3000 : null,
      heartbeatMs: random.chance(0.1) ? 4000 : null,
      totalMs: random.chance(0.1) ? 12_000 : null,
    },
    input: null,
    template:
      kind === 'plain'
        ? null
        : {
            input,
            reads: dependsOn,
            ...(kind === 'forEach' ? { forEach: Array.from({ length: random.int(0, 3) }, (_, item) => item) } : {}),
            ...(kind === 'left out' ? { when: 'false' } : {}),
          },
    policy: randomPolicy(random, kind === 'forEach'),
    concurrency: random.chance(0.2) ? random.pick(KEYS) : null,
  }
}

/** Agents bring two things now and then. */
const CHECKS: readonly Verify[] = [
  { kind: 'schema', schema: { maxItems: 1 }, maxRounds: 2 },
  { kind: 'agent', skill: 'test', maxRounds: 2 },
]

function randomPolicy(random: Random, isForEach: boolean): TaskPolicy | null {
  const policy: TaskPolicy = {
    ...(isForEach && random.chance(0.5) ? { childFailure: 'continue' } : {}),
    ...(random.chance(0.2) ? { verify: random.pick(CHECKS) } : {}),
    ...(random.chance(0.25) ? { approval: { ...randomTerms(random), escalate: null } } : {}),
    ...(random.chance(0.3) ? { compensate: randomCompensation(random) } : {}),
  }
  return Object.keys(policy).length === 0 ? null : policy
}

const randomCompensation = (random: Random): Compensation => ({
  queue: random.pick(SKILLS),
  requires: [],
  retry: { ...DEFAULT_RETRY, maxAttempts: random.int(1, 3), initialIntervalMs: 200, nonRetryable: ['hopeless'] },
  timeouts: { queueMs: null, attemptMs: random.chance(0.15) ? 3000 : null, heartbeatMs: null, totalMs: null },
})

/** Whom tasks wait for. */
export const PEOPLE = ['ann', 'bob', 'cyd'] as const

/** Terms that can be fulfilled. */
export function randomTerms(random: Random): Omit<ApprovalTerms, 'escalate'> {
  const approvers = random.pick([[], ['ann', 'bob'], [...PEOPLE]])
  const deadlineMs = random.pick([null, random.int(1000, 8000)])
  return {
    title: 'may it?',
    approvers,
    quorum: random.int(1, 2),
    deadlineMs,
    onTimeout: random.pick(['reject', 'approve']),
  }
}
