import { blueprintMark, claimSkill, durationMs } from '@hypercode/contracts'
import type { Budget, CrewManifest } from '@hypercode/contracts'
import type { Compensation, Concurrency, OnTaskFailure, TaskPolicy, Template, Timeouts } from '../domain/facts.ts'
import { PLAN_DEPTH_MAX } from '../domain/plan-depth.ts'
import { parsePath, referencesIn } from '../domain/references.ts'
import { DEFAULT_RETRY } from '../domain/retry.ts'
import type { RetryPolicy } from '../domain/retry.ts'
import { approvalOf } from './approval-terms.ts'
import { dependenciesOf, waves } from './graph.ts'
import { outputSchemaOf } from './schemas.ts'
import { verifyOf } from './verify-terms.ts'
import { walk } from './walk.ts'

/** A task of a crew, ready to be planned into any number of missions. */
export interface PlannedTask {
  key: string
  queue: string
  requires: readonly string[]
  priority: number
  dependsOn: readonly string[]
  leaf: boolean
  retry: RetryPolicy
  timeouts: Timeouts
  /** Input that is the same in every mission; the others have a template. */
  input: unknown
  template: Template | null
  policy: TaskPolicy | null
  concurrency: Concurrency | null
}

export interface CrewPlan {
  crew: string
  /** In an order in which each task comes after those that it waits for. */
  tasks: readonly PlannedTask[]
  onTaskFailure: OnTaskFailure
  deadlineMs: number | null
  /** What each mission may use, unless its submit says otherwise. */
  budget: Budget | null
  /** What its members ask for; which versions these are is known when a mission is submitted. */
  blueprints: readonly NamedBlueprint[]
  /** Characters of what each mission stores of it, about. */
  chars: number
}

export interface NamedBlueprint {
  /** `coder@3`, or `coder@stable`. */
  reference: string
  /** Where it stands in the manifest. */
  pointer: string
  /** Keys of the tasks that only its instances may take. */
  tasks: readonly string[]
  /** Keys of the tasks that only its instances may undo. */
  compensations: readonly string[]
}

type ManifestTask = CrewManifest['spec']['tasks'][number]

/** Turns a manifest that was checked into a plan. */
export function compile(manifest: CrewManifest): CrewPlan {
  const { members, tasks, policy } = manifest.spec
  const graph = dependenciesOf(manifest)
  const needed = new Set([...graph.values()].flat())
  const byId = new Map(tasks.map((task) => [task.id, task]))
  const planned = waves(graph)
    .flat()
    .map((id): PlannedTask => {
      const task = byId.get(id) as ManifestTask
      const { queue, requires } = workerOf(task, members)
      const template = templateOf(task)
      return {
        key: id,
        queue,
        requires,
        priority: task.priority ?? 0,
        dependsOn: graph.get(id) ?? [],
        leaf: !needed.has(id),
        retry: retryOf(task),
        timeouts: timeoutsOf(task),
        input: template === null ? (task.input ?? null) : null,
        template,
        policy: policyOf(manifest, task),
        concurrency: task.concurrency ?? null,
      }
    })
  return {
    crew: manifest.metadata.name,
    tasks: planned,
    onTaskFailure: policy?.onTaskFailure ?? 'fail',
    deadlineMs: ms(policy?.deadline),
    budget: budgetOf(policy?.budget),
    blueprints: blueprintsOf(manifest),
    chars: JSON.stringify(planned).length,
  }
}

function budgetOf(budget: NonNullable<CrewManifest['spec']['policy']>['budget']): Budget | null {
  if (budget === undefined) return null
  const { onExhausted: _, ...limits } = budget
  return limits
}

/** What who does the task must claim. Nobody claims a task that a crew does; its queue says so. */
function workerOf(
  task: Pick<ManifestTask, 'member' | 'crew'>,
  members: CrewManifest['spec']['members'],
): Pick<PlannedTask, 'queue' | 'requires'> {
  const member = members.find((one) => one.id === task.member)
  if (member === undefined) return { queue: `crew.${task.crew?.split('@')[0]}`, requires: [] }
  return {
    queue: claimSkill(member.skill, member.pool),
    // An instance of a pool has no skill but in the pool.
    requires: (member.requires ?? []).map((skill) => claimSkill(skill, member.pool)),
  }
}

function blueprintsOf({ spec: { members, tasks } }: CrewManifest): NamedBlueprint[] {
  return members.flatMap(({ id, blueprint }, index) => {
    if (blueprint === undefined) return []
    const keysWhere = (isOf: (task: ManifestTask) => boolean): string[] => tasks.filter(isOf).map((task) => task.id)
    return [
      {
        reference: blueprint,
        pointer: `/spec/members/${index}/blueprint`,
        tasks: keysWhere((task) => task.member === id),
        compensations: keysWhere((task) => task.compensate?.member === id),
      },
    ]
  })
}

/** The plan with the versions that its blueprints mean now; every task of a member can be taken only by instances of its version. */
export function withBlueprints(plan: CrewPlan, versions: ReadonlyMap<string, number>): CrewPlan {
  const marksOf = (keysOf: (blueprint: NamedBlueprint) => readonly string[]): ReadonlyMap<string, string> =>
    new Map(
      plan.blueprints.flatMap((blueprint) => {
        const [name, version] = [blueprint.reference.split('@')[0] as string, versions.get(blueprint.reference)]
        return version === undefined ? [] : keysOf(blueprint).map((key) => [key, blueprintMark(name, version)] as const)
      }),
    )
  const marks = marksOf((blueprint) => blueprint.tasks)
  const undoing = marksOf((blueprint) => blueprint.compensations)
  const tasks = plan.tasks.map((task) => withMark(markCompensation(task, undoing.get(task.key)), marks.get(task.key)))
  return { ...plan, tasks }
}

const withMark = <T extends Pick<PlannedTask, 'requires'>>(one: T, mark: string | undefined): T =>
  mark === undefined ? one : { ...one, requires: [...one.requires, mark] }

function markCompensation(task: PlannedTask, mark: string | undefined): PlannedTask {
  if (task.policy?.compensate === undefined) return task
  return { ...task, policy: { ...task.policy, compensate: withMark(task.policy.compensate, mark) } }
}

function templateOf(task: ManifestTask): Template | null {
  const references = new Set<string>()
  const collect = (value: unknown): void =>
    walk(value, '', (_, text) => {
      for (const reference of referencesIn(text)) references.add(reference)
    })
  collect([task.input, task.when, task.forEach, task.concurrency?.key])
  if (references.size === 0 && task.when === undefined && task.forEach === undefined) return null
  const reads = [...references]
    .map((reference) => parsePath(reference))
    .flatMap((path) => (path?.[0] === 'tasks' && path[1] !== undefined ? [path[1]] : []))
  return {
    input: task.input ?? null,
    reads: [...new Set(reads)],
    ...(task.when === undefined ? {} : { when: task.when }),
    ...(task.forEach === undefined ? {} : { forEach: task.forEach }),
    ...(task.concurrency?.key.includes('${') === true ? { concurrencyKey: task.concurrency.key } : {}),
  }
}

function policyOf(manifest: CrewManifest, task: ManifestTask): TaskPolicy | null {
  const outputSchema = outputSchemaOf(manifest, task)
  const compensate = compensationOf(manifest, task)
  const policy: TaskPolicy = {
    ...(task.onChildFailure === 'continue' ? { childFailure: task.onChildFailure } : {}),
    ...(task.crew === undefined ? {} : { crew: task.crew }),
    ...(task.member !== undefined && task.member === manifest.spec.manager ? { plans: PLAN_DEPTH_MAX } : {}),
    ...(outputSchema === undefined ? {} : { outputSchema }),
    ...(task.verify === undefined ? {} : { verify: verifyOf(manifest, task.id, task.verify) }),
    ...(compensate === undefined ? {} : { compensate }),
    ...(task.approval === undefined ? {} : { approval: approvalOf(task.id, task.approval) }),
  }
  return Object.keys(policy).length === 0 ? null : policy
}

function compensationOf({ spec }: CrewManifest, { compensate }: ManifestTask): Compensation | undefined {
  if (compensate === undefined) return undefined
  const { skill, ...terms } = compensate
  return {
    ...(skill === undefined ? workerOf(terms, spec.members) : { queue: skill, requires: [] }),
    retry: retryOf(terms),
    timeouts: timeoutsOf(terms),
    ...('input' in terms ? { input: terms.input } : {}),
  }
}

function retryOf({ retry }: Pick<ManifestTask, 'retry'>): RetryPolicy {
  const initialIntervalMs = ms(retry?.initialInterval) ?? DEFAULT_RETRY.initialIntervalMs
  return {
    maxAttempts: retry?.maxAttempts ?? DEFAULT_RETRY.maxAttempts,
    initialIntervalMs,
    backoff: retry?.backoff ?? DEFAULT_RETRY.backoff,
    maxIntervalMs: ms(retry?.maxInterval) ?? Math.max(DEFAULT_RETRY.maxIntervalMs, initialIntervalMs),
    nonRetryable: retry?.nonRetryable ?? DEFAULT_RETRY.nonRetryable,
    onExhausted: retry?.onExhausted ?? DEFAULT_RETRY.onExhausted,
  }
}

const timeoutsOf = ({ timeouts }: Pick<ManifestTask, 'timeouts'>): Timeouts => ({
  queueMs: ms(timeouts?.queue),
  attemptMs: ms(timeouts?.attempt),
  heartbeatMs: ms(timeouts?.heartbeat),
  totalMs: ms(timeouts?.total),
})

const ms = (duration: string | undefined): number | null => (duration === undefined ? null : durationMs(duration))
