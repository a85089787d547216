/** What people who step in read and close: statements of `store/read-tasks.ts` and `store/dead-letters.ts`. */
import type { Statement } from '../statement.ts'

export const findTask: Statement = {
  name: 'findTask',
  marks: ['with page as materialized (select * from tasks t where t.id = $1 and t.tenant_id = $2'],
  run({ session, params }) {
    const task = session.get('tasks', params[0] as string)
    if (task === undefined || task.tenant_id !== params[1]) return []
    const dates = {
      created_at: new Date(0),
      started_at: null,
      ended_at: null,
      available_at: null,
      lease_expires_at: null,
    }
    return [{ ...task, ...dates, progress: null, verification: null, with_skill: 1, with_slot: 1, found: 1 }]
  },
}

export const resolveOpenLetters: Statement = {
  name: 'resolveOpenLetters',
  marks: ['update "dead_letters" set "resolution" = $1', 'where "task_id" = $3 and "resolution" is null'],
  run({ session, params }) {
    for (const letter of session.rows('dead_letters'))
      if (letter.task_id === params[2] && letter.resolution === null)
        session.put('dead_letters', { ...letter, resolution: params[0] as string })
    return []
  },
}

/** No mission of the simulation has a budget. */
export const readBudget: Statement = {
  name: 'readBudget',
  marks: ['from mission_budgets b where b.mission_id = $1'],
  run: () => [],
}
