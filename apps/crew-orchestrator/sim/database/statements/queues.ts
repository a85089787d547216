/** The statements of `store/queues.ts` that say something of a queue. */
import type { ControlRow } from '../rows.ts'
import { KEYS } from '../rows.ts'
import { paramsAt } from '../statement.ts'
import type { Statement } from '../statement.ts'

export const lockControl: Statement = {
  name: 'lockControl',
  marks: ['select paused_at, paused_by, max_executing from queue_controls', 'for update'],
  async run({ session, params }) {
    const key = params.join('/')
    if (session.get('queue_controls', key) === undefined) return []
    await session.lock('queue_controls', key)
    const control = session.get('queue_controls', key)
    return control === undefined ? [] : [control]
  },
}

export const removeControl: Statement = {
  name: 'saveControl, of nothing',
  marks: ['delete from queue_controls where'],
  async run({ session, params }) {
    await session.lock('queue_controls', params.join('/'))
    session.remove('queue_controls', params.join('/'))
    return []
  },
}

export const saveControl: Statement = {
  name: 'saveControl',
  marks: ['insert into queue_controls as c'],
  async run(call) {
    const { session } = call
    const values =
      /values \(\$(\d+), \$(\d+), case when \$(\d+)::text is not null then now\(\) end, \$\d+, \$(\d+)::int\)/
    const [tenant_id, queue, paused_by, max_executing] = paramsAt(call, values) as [
      string,
      string,
      string | null,
      number | null,
    ]
    const key = KEYS.queue_controls({ tenant_id, queue } as ControlRow)
    await session.lock('queue_controls', key)
    const before = session.get('queue_controls', key)
    const paused_at = paused_by === null ? null : (before?.paused_at ?? session.now)
    session.put('queue_controls', { tenant_id, queue, paused_at, paused_by, max_executing })
    return []
  },
}

export const countControls: Statement = {
  name: 'countControls',
  marks: ['select count(*) as n from queue_controls where tenant_id = $1'],
  run: ({ session, params }) => [
    { n: session.rows('queue_controls').filter((one) => one.tenant_id === params[0]).length },
  ],
}
