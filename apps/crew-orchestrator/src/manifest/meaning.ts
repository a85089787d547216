import type { CrewManifest, Fault } from '@hypercode/contracts'
import { termsFault } from '../domain/approvals.ts'
import { parseCondition } from '../domain/condition.ts'
import { ROOTS, parsePath } from '../domain/references.ts'
import { approvalOf } from './approval-terms.ts'
import { compensationFaults } from './compensations.ts'
import { dependenciesOf, findCycle, reachable } from './graph.ts'
import { MISSION_MEMBERS } from './mission-members.ts'
import { schemaFaults } from './schemas.ts'
import { textFaults } from './texts.ts'
import { verifyFaults } from './verify-terms.ts'
import { walk } from './walk.ts'

type ManifestTask = CrewManifest['spec']['tasks'][number]

/** Faults that a schema cannot say: names that do not exist or exist twice, cycles, references that lead nowhere. */
export function meaningFaults(manifest: CrewManifest): Fault[] {
  const { members, tasks } = manifest.spec
  const faults: Fault[] = [
    ...twice(members, '/spec/members'),
    ...twice(tasks, '/spec/tasks'),
    ...schemaFaults(manifest),
  ]
  const memberIds = new Set(members.map((member) => member.id))
  const taskIds = new Set(tasks.map((task) => task.id))
  faults.push(...managerFaults(manifest, memberIds), ...budgetFaults(manifest))
  for (const [index, task] of tasks.entries()) {
    const at = `/spec/tasks/${index}`
    faults.push(...crewFaults(task, at), ...compensationFaults(task, at, memberIds))
    if (task.member !== undefined && !memberIds.has(task.member))
      faults.push({
        pointer: `${at}/member`,
        message: `there is no member "${task.member}"`,
        fix: `Members are: ${[...memberIds].join(', ')}.`,
      })
    for (const [i, parent] of (task.dependsOn ?? []).entries()) {
      if (!taskIds.has(parent))
        faults.push({ pointer: `${at}/dependsOn/${i}`, message: `there is no task "${parent}"` })
    }
    const termless = task.approval === undefined ? undefined : termsFault(approvalOf(task.id, task.approval))
    if (termless !== undefined) faults.push({ pointer: `${at}/approval`, message: termless })
    if (task.verify !== undefined) faults.push(...verifyFaults(task.id, task.verify, `${at}/verify`))
    if (task.onChildFailure !== undefined && task.forEach === undefined)
      faults.push({ pointer: `${at}/onChildFailure`, message: 'has a meaning only beside forEach' })
    if (manifest.spec.process === 'parallel' && (task.dependsOn ?? []).length > 0) {
      faults.push({
        pointer: `${at}/dependsOn`,
        message: 'tasks of a parallel crew run side by side',
        fix: 'Use process: dag.',
      })
    }
  }
  const dependencies = dependenciesOf(manifest)
  const cycle = findCycle(dependencies)
  if (cycle !== undefined) {
    const index = tasks.findIndex((task) => task.id === cycle[0])
    faults.push({
      pointer: `/spec/tasks/${index}/dependsOn`,
      message: `the tasks wait for each other: ${[...cycle, cycle[0]].join(' → ')}`,
    })
    return faults
  }
  for (const [index, task] of tasks.entries())
    faults.push(...referenceFaults(task, `/spec/tasks/${index}`, taskIds, reachable(dependencies, task.id)))
  return faults
}

/** What is said of an attempt has no meaning where a crew does the work. */
const OF_ATTEMPTS = ['member', 'retry', 'output', 'approval', 'concurrency', 'verify'] as const

function managerFaults({ spec: { process, manager } }: CrewManifest, memberIds: ReadonlySet<string>): Fault[] {
  if (process !== 'hierarchical')
    return manager === undefined
      ? []
      : [{ pointer: '/spec/manager', message: 'has a meaning only in a crew with process: hierarchical' }]
  if (manager === undefined) return [{ pointer: '/spec', message: 'a hierarchical crew needs a "manager"' }]
  return memberIds.has(manager) ? [] : [{ pointer: '/spec/manager', message: `there is no member "${manager}"` }]
}

function budgetFaults({ spec: { policy } }: CrewManifest): Fault[] {
  if (policy?.budget === undefined || policy.budget.tokens !== undefined || policy.budget.usd !== undefined) return []
  return [{ pointer: '/spec/policy/budget', message: 'needs "tokens", "usd" or both' }]
}

function crewFaults(task: ManifestTask, at: string): Fault[] {
  if (task.crew === undefined)
    return task.member === undefined ? [{ pointer: at, message: 'needs a "member" or a "crew"' }] : []
  return OF_ATTEMPTS.filter((key) => task[key] !== undefined).map((key) => ({
    pointer: `${at}/${key}`,
    message: 'has no meaning beside "crew"',
    fix: 'Say it of the tasks of that crew.',
  }))
}

function twice(things: readonly { id: string }[], at: string): Fault[] {
  const seen = new Set<string>()
  return things.flatMap(({ id }, index) => {
    if (seen.has(id)) return [{ pointer: `${at}/${index}/id`, message: `"${id}" stands here a second time` }]
    seen.add(id)
    return []
  })
}

function referenceFaults(
  task: ManifestTask,
  at: string,
  taskIds: ReadonlySet<string>,
  ancestors: ReadonlySet<string>,
): Fault[] {
  const faults: Fault[] = []
  const check = (pointer: string, text: string, inElement: boolean): void => {
    faults.push(...textFaults(pointer, text, (reference) => referenceFault(reference, taskIds, ancestors, inElement)))
  }
  walk(task.input, `${at}/input`, (pointer, text) => check(pointer, text, task.forEach !== undefined))
  if (task.concurrency !== undefined) check(`${at}/concurrency/key`, task.concurrency.key, task.forEach !== undefined)
  if (typeof task.forEach === 'string') {
    check(`${at}/forEach`, task.forEach, false)
    if (!/^\$\{[^{}]*\}$/.test(task.forEach))
      faults.push({ pointer: `${at}/forEach`, message: 'must be one reference or a list' })
  } else if (task.forEach !== undefined)
    walk(task.forEach, `${at}/forEach`, (pointer, text) => check(pointer, text, false))
  if (task.when !== undefined) {
    check(`${at}/when`, task.when, false)
    if (parseCondition(task.when) === undefined)
      faults.push({
        pointer: `${at}/when`,
        message: 'is not a condition',
        fix: 'Write one value, or two with == != > >= < <= between them; references without quotes.',
      })
  }
  return faults
}

function referenceFault(
  reference: string,
  taskIds: ReadonlySet<string>,
  ancestors: ReadonlySet<string>,
  inElement: boolean,
): { message: string; fix?: string } | undefined {
  const path = parsePath(reference)
  const written = `\${${reference}}`
  if (path === undefined) return { message: `${written} is not a path` }
  const [root, name, member] = path as [string, string | undefined, string | undefined]
  if (!(ROOTS as readonly string[]).includes(root))
    return { message: `${written} begins with "${root}"`, fix: `Paths begin with ${ROOTS.join(', ')}.` }
  if ((root === 'item' || root === 'index') && !inElement)
    return { message: `${written} has a meaning only in the input and the concurrency key of a task with forEach` }
  if (root === 'mission' && (name === undefined || !MISSION_MEMBERS.includes(name)))
    return { message: `${written}: a mission has ${MISSION_MEMBERS.join(', ')}` }
  if (root !== 'tasks') return undefined
  if (name === undefined || !taskIds.has(name)) return { message: `${written}: there is no task "${name ?? ''}"` }
  if (member !== 'output' && member !== 'state') return { message: `${written}: a task has output and state` }
  if (!ancestors.has(name))
    return { message: `${written}: the task does not wait for "${name}"`, fix: `Add "${name}" to dependsOn.` }
  return undefined
}
