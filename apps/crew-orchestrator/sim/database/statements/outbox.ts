/** The statements of the outbox, in `packages/events/src/outbox.ts`. */
import type { Statement } from '../statement.ts'

export const takeDue: Statement = {
  name: 'takeDue',
  marks: ['update outbox set tries = tries + 1', 'for update skip locked'],
  async run({ session, params }) {
    const isDue = (at: number): boolean => at <= session.now
    const seen = session.rows('outbox').filter((row) => isDue(row.next_try_at))
    if (seen.length === 0) return []
    await session.breathe()
    const taken: object[] = []
    for (const { id } of seen.sort((a, b) => a.next_try_at - b.next_try_at || Number(a.id) - Number(b.id))) {
      if (taken.length >= (params[0] as number)) break
      const row = session.tryLock('outbox', id) ? session.get('outbox', id) : undefined
      if (row === undefined || !isDue(row.next_try_at)) continue
      const next_try_at = session.now + Math.min(2 ** row.tries, 30) * 1000
      session.put('outbox', { ...row, tries: row.tries + 1, next_try_at })
      taken.push({ id: Number(id), payload: row.payload })
    }
    return taken
  },
}

export const deleteSent: Statement = {
  name: 'deleteSent',
  marks: ['delete from outbox where id = any('],
  async run({ session, params }) {
    const ids = [...(params[0] as number[])].sort((a, b) => a - b).map(String)
    for (const id of ids) {
      if (session.get('outbox', id) === undefined) continue
      await session.lock('outbox', id)
      session.remove('outbox', id)
    }
    return []
  },
}
