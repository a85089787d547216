import type { Change } from './database/database.ts'
import type { TaskRow } from './database/rows.ts'
import { must } from './rules.ts'

type EffectChange = Extract<Change, { table: 'effects' }>

/** What a change in the ledger of effects must say; `task` is as it is after it. */
export function checkEffect({ before, after }: EffectChange, task: TaskRow | undefined): void {
  const about = `the effect ${after.name} of ${after.task_id}`
  must(before === undefined || before.request_hash === after.request_hash, 'E4', `${about} has another request`)
  must(before?.state !== 'done', 'E1', `${about} was done and is ${after.state} again`)
  must(
    before?.state !== 'unknown' || after.state !== 'intent',
    'E2',
    `${about} is not unknown any more, and nobody said so`,
  )
  const isByPerson = before?.state === 'unknown' || after.state === 'unknown'
  must(
    isByPerson || (task?.state === 'executing' && task.attempt === after.attempt),
    'E3',
    `${about} was written by attempt ${after.attempt}, and its task is ${task?.state}/${task?.attempt}`,
  )
}
