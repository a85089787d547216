import type { Db } from '@hypercode/db'
import { findClaimant } from '../store/lease.ts'
import type { Claimant } from '../store/lease.ts'

/** The instances behind claims, with their skills. They are fixed for an incarnation, so what is known stays true. */
export interface SkillBook {
  find(tenantId: string, subject: string, incarnation: number): Promise<Claimant | undefined>
}

const ENTRIES_MAX = 20_000

export function createSkillBook(db: Db): SkillBook {
  const known = new Map<string, Claimant>()
  return {
    async find(tenantId, subject, incarnation) {
      const key = `${tenantId} ${incarnation} ${subject}`
      const claimant = known.get(key) ?? (await findClaimant(db, tenantId, subject, incarnation))
      // An unknown instance is not remembered: it may register the next moment.
      if (claimant === undefined) return undefined
      if (known.size >= ENTRIES_MAX) known.delete(known.keys().next().value as string)
      known.set(key, claimant)
      return claimant
    },
  }
}
