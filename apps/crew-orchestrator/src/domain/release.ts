import { newId } from '@hypercode/contracts'
import { begin } from './approvals.ts'
import { isCompensation } from './compensate.ts'
import { evaluate } from './condition.ts'
import { exhaust, fail } from './exhaust.ts'
import type { Concurrency, TaskFacts, TaskPolicy, Template } from './facts.ts'
import { missionOf, move, plan } from './ledger.ts'
import type { Ledger } from './ledger.ts'
import { missionScope, spendOf } from './mission-scope.ts'
import { ReferenceError, fill } from './references.ts'
import type { Spend } from './references.ts'

/** Most elements that one forEach may have. */
export const FOR_EACH_MAX = 10_000
/** Most tasks that a mission may have, the elements of all its forEach together. */
export const MISSION_TASKS_MAX = 20_000

/** Outputs of the tasks of a mission by their key; `output` is null for one that was skipped. Inputs are for compensations alone. */
export type Outputs = Readonly<Record<string, { output: unknown; state: string; input?: unknown }>>

/** What a task fails with whose references lead nowhere. */
const UNRESOLVED = 'reference_unresolved'

/** All dependencies of a blocked task are done: it begins, or fails. */
export function release(ledger: Ledger, task: TaskFacts, outputs: Outputs): void {
  if (task.template === null) {
    begin(ledger, task)
    return
  }
  try {
    fillIn(ledger, task, task.template, outputs)
  } catch (error) {
    if (!(error instanceof ReferenceError)) throw error
    const fault = { code: UNRESOLVED, message: error.message }
    // What is not undone is for people to look at.
    if (isCompensation(task)) exhaust(ledger, task, fault, 'fail')
    else fail(ledger, task, fault)
  }
}

/** It was paused because its references lead nowhere, and has no input yet. Before the first attempt no code is an agent's. */
export const isUnfilled = ({ attempt, template, error }: Pick<TaskFacts, 'attempt' | 'template' | 'error'>): boolean =>
  attempt === 0 && template !== null && error?.code === UNRESOLVED

/** Fills the input of a task and queues it (or asks for approval), skips it, or opens its forEach. Throws a ReferenceError. */
export function fillIn(ledger: Ledger, task: TaskFacts, template: Template, outputs: Outputs): void {
  const mission = missionOf(ledger, task)
  const scope = { mission: missionScope(mission), tasks: outputs }
  const spend = spendOf(mission)
  if (template.when !== undefined && !evaluate(template.when, scope)) {
    move(ledger, task, 'skipped', { reason: `when: ${template.when}` })
  } else if (template.forEach !== undefined) {
    openForEach(ledger, task, template, scope, spend)
  } else {
    task.input = fill(template.input, scope, spend)
    task.concurrency = concurrencyOf(task, template, scope)
    begin(ledger, task)
  }
}

/** The task waits, holding no slot, while one task per element runs; its output becomes the list of theirs. */
function openForEach(
  ledger: Ledger,
  task: TaskFacts,
  template: Template,
  scope: Readonly<Record<string, unknown>>,
  spend: Spend,
): void {
  const elements = fill(template.forEach, scope)
  if (!Array.isArray(elements))
    throw new ReferenceError(`forEach needs a list, not ${elements === null ? 'null' : typeof elements}`)
  if (elements.length > FOR_EACH_MAX)
    throw new ReferenceError(`forEach has ${elements.length} elements; at most ${FOR_EACH_MAX} are allowed`)
  if (missionOf(ledger, task).totalTasks + elements.length > MISSION_TASKS_MAX)
    throw new ReferenceError(`with ${elements.length} elements the mission has more than ${MISSION_TASKS_MAX} tasks`)
  const policy = elementPolicy(task.policy)
  const policyChars = policy === null ? 0 : JSON.stringify(policy).length
  const filled = elements.map((item: unknown, index) => {
    spend(policyChars)
    const ofElement = { ...scope, item, index }
    return { input: fill(template.input, ofElement, spend), concurrency: concurrencyOf(task, template, ofElement) }
  })
  move(ledger, task, 'waiting', { reason: `${elements.length} elements` })
  task.blockedBy = elements.length
  for (const [index, { input, concurrency }] of filled.entries()) {
    const element: TaskFacts = {
      ...task,
      id: newId(),
      key: `${task.key}[${index}]`,
      leaf: false,
      state: 'blocked',
      reason: null,
      blockedBy: 0,
      template: null,
      policy,
      concurrency,
      parentId: task.id,
      input,
      error: null,
    }
    plan(ledger, element)
    ledger.edges.push({ tenantId: task.tenantId, taskId: task.id, dependsOn: element.id })
    begin(ledger, element)
  }
  if (elements.length === 0) move(ledger, task, 'completed', { output: [] })
}

/** Characters of a concurrency key. */
const KEY_MAX = 200

/** The key of a task, or of an element of one, with its references looked up. */
function concurrencyOf(
  { concurrency }: TaskFacts,
  { concurrencyKey }: Template,
  scope: Readonly<Record<string, unknown>>,
): Concurrency | null {
  if (concurrency === null || concurrencyKey === undefined) return concurrency
  const value = fill(concurrencyKey, scope)
  const key = typeof value === 'number' || typeof value === 'boolean' ? String(value) : value
  if (typeof key !== 'string' || key === '' || key.length > KEY_MAX)
    throw new ReferenceError(`the concurrency key is not a text of 1 to ${KEY_MAX} characters`)
  return { ...concurrency, key }
}

/** What holds for a forEach task holds for each of its elements. */
function elementPolicy(policy: TaskPolicy | null): TaskPolicy | null {
  if (policy?.childFailure === undefined) return policy
  const { childFailure: _, ...rest } = policy
  return { ...rest, tolerated: true }
}
