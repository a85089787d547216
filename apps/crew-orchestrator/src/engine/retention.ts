/**
 * Deletes missions that ended long ago. Every replica goes through the old ids, page by page and round and round; each mission goes in
 * one transaction with all that belongs to it, so nobody ever sees half of one. The audit is kept.
 */
import { inTransaction, isConnectionError } from '@hypercode/db'
import type { Db } from '@hypercode/db'
import { NO_ID, deleteMissions, findOld, lockDeletable } from '../store/retention.ts'

/** Missions that are looked at together. */
const PAGE = 200
/** Tasks and events of one transaction, about; a mission with more has one of its own. */
const ROWS_MAX = 10_000
/** A turn begins nothing more after this: the next one goes on where it was. */
const TURN_MS = 3000

export interface Retention {
  /** Goes through some of the old missions. Answers how many it deleted. */
  turn(signal?: AbortSignal): Promise<number>
}

export interface RetentionOptions {
  db: Db
  /** How long a mission is kept after its end. */
  retentionMs: number
  /** Called after each commit. */
  onDeleted: (missions: number) => void
  /** Told of a mission that cannot be deleted: a bug of ours. It stops no other. Must not throw. */
  onFault: (error: unknown, id: string) => void
}

export function createRetention({ db, retentionMs, onDeleted, onFault }: RetentionOptions): Retention {
  let cursor = NO_ID

  const deleteSome = async (ids: readonly string[]): Promise<{ deleted: number; left: string[] }> => {
    const { deleted, left } = await inTransaction(db, async (trx) => {
      const all = await lockDeletable(trx, retentionMs, ids)
      const some = fitting(all)
      if (some.length > 0) await deleteMissions(trx, some)
      return { deleted: some.length, left: all.slice(some.length).map(({ id }) => id) }
    })
    if (deleted > 0) onDeleted(deleted)
    return { deleted, left }
  }

  const deleteAll = async (ids: readonly string[]): Promise<number> => {
    let total = 0
    for (let left = ids; left.length > 0; ) {
      const done = await deleteSome(left)
      total += done.deleted
      left = done.left
    }
    return total
  }

  /** Something lies in one of the missions: alone, the others go. */
  const deleteOneByOne = async (ids: readonly string[]): Promise<number> => {
    let total = 0
    for (const id of ids) {
      try {
        total += await deleteAll([id])
      } catch (error) {
        if (isConnectionError(error)) throw error
        onFault(error, id)
      }
    }
    return total
  }

  return {
    async turn(signal) {
      const begun = performance.now()
      let total = 0
      while (signal?.aborted !== true && performance.now() - begun < TURN_MS) {
        const ids = await findOld(db, retentionMs, cursor, PAGE)
        const last = ids.at(-1)
        cursor = last ?? NO_ID
        if (last === undefined) break
        try {
          total += await deleteAll(ids)
        } catch (error) {
          if (isConnectionError(error)) throw error
          total += await deleteOneByOne(ids)
        }
      }
      return total
    },
  }
}

/** As many as go in one transaction, and at least one. */
function fitting<T extends { rows: number }>(missions: readonly T[]): T[] {
  let sum = 0
  return missions.filter(({ rows }, index) => {
    sum += rows
    return index === 0 || sum <= ROWS_MAX
  })
}
