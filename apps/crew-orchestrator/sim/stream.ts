/** The event stream: what of it readers rely on. Every hint is published once its mission has the event, and none is given up before. */
import type { Hint } from '@hypercode/events'
import type { Commit, Database } from './database/database.ts'
import { must } from './rules.ts'

export interface Stream {
  append(hints: readonly Hint[]): void
  /** P2: what is taken out of the outbox is in the stream. */
  checkRemoved(commit: Commit): void
  /** The newest event of a mission that was told. */
  newest(missionId: string): number | undefined
}

export function createStream(database: () => Database): Stream {
  const told = new Set<string>()
  const newest = new Map<string, number>()
  return {
    append(hints) {
      for (const hint of hints) {
        if (hint.kind !== 'mission') continue
        const { missionId, seq } = hint
        const mission = database().tables.missions.get(missionId)
        must(mission !== undefined && mission.event_seq >= seq, 'S7', `a hint of event ${seq} that no mission has`)
        told.add(`${missionId}/${seq}`)
        newest.set(missionId, Math.max(newest.get(missionId) ?? 0, seq))
      }
    },
    checkRemoved({ removed }) {
      for (const { table, before } of removed) {
        if (table !== 'outbox') continue
        for (const { missionId, seq } of before.payload as { missionId: string; seq: number }[])
          must(told.has(`${missionId}/${seq}`), 'P2', `event ${seq} of ${missionId} left the outbox untold`)
      }
    },
    newest: (missionId) => newest.get(missionId),
  }
}
