/** The statements of `store/journal.ts` about steps and progress. */
import { paramsAt } from '../statement.ts'
import type { Statement } from '../statement.ts'
import { fencedWrite } from './fenced.ts'

export const recordStep: Statement = {
  name: 'recordStep',
  marks: ['written as ( insert into steps'],
  run: async (call) =>
    fencedWrite(call, ({ id, tenant_id, attempt }) => {
      const { session, text } = call
      const [name, request_hash, response] = paramsAt(
        call,
        /select id, \$(\d+), tenant_id, attempt, \$(\d+), \$(\d+)::jsonb from held/,
      ) as [string, string | null, string]
      const isThere = session.get('steps', `${id}/${name}`) !== undefined
      if (isThere && text.includes('on conflict (task_id, name) do nothing')) return false
      session.put('steps', { task_id: id, name, tenant_id, attempt, request_hash, response: JSON.parse(response) })
      return true
    }),
}

export const readStep: Statement = {
  name: 'recordStep, what is stored',
  marks: ['select "request_hash", "response" from "steps" where "task_id" = $1 and "name" = $2'],
  run({ session, params }) {
    const step = session.get('steps', params.join('/'))
    return step === undefined ? [] : [step]
  },
}

export const reportProgress: Statement = {
  name: 'reportProgress',
  marks: ['written as (select id from held), moved', ', progress = '],
  run: async (call) => fencedWrite(call, () => true),
}
