/** V1: a task with `verify` is completed only by a round that passed. V2: a round is open exactly as long as its task is verifying. */
import type { Commit, Database } from './database/database.ts'
import type { TaskRow } from './database/rows.ts'
import { must } from './rules.ts'

export function checkVerifications({ tables }: Database, { changes }: Commit): void {
  for (const change of changes) {
    if (change.table !== 'verifications') continue
    const { before, after } = change
    must(before === undefined || before.state === 'open', 'V2', `round ${after.round} was decided twice`)
    const verifier = tables.tasks.get(after.verifier_task_id ?? '')
    if (after.state !== 'passed' || verifier === undefined) continue
    const said = verifier.state === 'completed' && (verifier.output as { passed: unknown }).passed === true
    must(said, 'V1', `${verifier.key} did not pass what it looked at`)
  }
  const tasks = changes.flatMap(({ table, after }) =>
    table === 'tasks' ? [after] : table === 'verifications' ? (tables.tasks.get(after.task_id) ?? []) : [],
  )
  const isChecked = ({ policy, template }: TaskRow): boolean =>
    policy?.verify !== undefined && template?.forEach === undefined
  for (const { id, key } of tasks.filter(isChecked)) {
    const task = tables.tasks.get(id) as TaskRow
    const rounds = [...tables.verifications.values()].filter((one) => one.task_id === id)
    const isOpen = rounds.some((one) => one.state === 'open')
    must(
      isOpen === (task.state === 'verifying'),
      'V2',
      `${key} is ${task.state}, and a round is ${isOpen ? '' : 'not '}open`,
    )
    const passed = rounds.filter((one) => one.state === 'passed')
    must(
      passed.length === (task.state === 'completed' ? 1 : 0),
      'V1',
      `${key} is ${task.state}, ${passed.length} passed`,
    )
    must(
      passed.every((one) => one.attempt === task.attempt),
      'V1',
      `${key} is completed by what did not pass`,
    )
    must(
      rounds.every((_, index) => rounds.some((one) => one.round === index + 1)),
      'V2',
      `rounds of ${key} have a gap`,
    )
  }
}
