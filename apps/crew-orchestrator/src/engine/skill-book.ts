import type { Db } from '@hypercode/db'
import { findSkills } from '../store/lease.ts'

/** The skills of agent instances. They are fixed for an incarnation, so what is known stays true. */
export interface SkillBook {
  skillsOf(tenantId: string, subject: string, incarnation: number): Promise<readonly string[] | undefined>
}

const ENTRIES_MAX = 20_000

export function createSkillBook(db: Db): SkillBook {
  const known = new Map<string, readonly string[]>()
  return {
    async skillsOf(tenantId, subject, incarnation) {
      const key = `${tenantId} ${incarnation} ${subject}`
      const skills = known.get(key) ?? (await findSkills(db, tenantId, subject, incarnation))
      // An unknown instance is not remembered: it may register the next moment.
      if (skills === undefined) return undefined
      if (known.size >= ENTRIES_MAX) known.delete(known.keys().next().value as string)
      known.set(key, skills)
      return skills
    },
  }
}
