/** The statements of `store/compensations.ts`. */
import type { Statement } from '../statement.ts'

export const readUndoable: Statement = {
  name: 'readUndoable',
  marks: ["t.policy ? 'compensate' and t.kept_from is null"],
  run({ session, params }) {
    const ids = params[0] as string[]
    const completed = session
      .rows('mission_events')
      .filter((event) => ids.includes(event.mission_id) && event.type === 'task.completed')
      .sort((a, b) => a.seq - b.seq)
    return completed.flatMap((event) => {
      const task = session.get('tasks', event.task_id as string)
      return task?.policy?.compensate === undefined || task.template?.forEach !== undefined ? [] : [task]
    })
  },
}

export const readCompensated: Statement = {
  name: 'readCompensated',
  marks: ['select t.id, t.key, t.input, t.output from tasks t where t.id = any('],
  run: ({ session, params }) => session.rows('tasks').filter((task) => (params[0] as string[]).includes(task.id)),
}
