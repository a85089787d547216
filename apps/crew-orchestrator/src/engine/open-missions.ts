import type { Db } from '@hypercode/db'
import { AppError } from '@hypercode/http'
import { sql } from 'kysely'

/** The count of a tenant is looked up again after so long; between two looks, the missions that came in here are added. */
const FRESH_MS = 1000

export interface OpenMissions {
  /** Throws 429 when the tenant has as many open missions as it may. */
  admit(tenantId: string, count: number): Promise<void>
}

interface Counted {
  count: number
  at: number
}

/** Bounds the open missions of each tenant, about: replicas do not see each other's last second. */
export function createOpenMissions(db: Db, max: number): OpenMissions {
  const counts = new Map<string, Counted>()
  const looks = new Map<string, Promise<Counted>>()

  const look = async (tenantId: string): Promise<Counted> => {
    const found = await sql<{ n: number }>`
      select count(*) as n from (select 1 from missions where tenant_id = ${tenantId} and ended_at is null limit ${max}) m`.execute(
      db,
    )
    const known = { count: found.rows[0]?.n ?? 0, at: performance.now() }
    counts.set(tenantId, known)
    return known
  }

  /** Those who come while somebody looks wait for that: with a count of its own for each, all of them would find the same room. */
  const lookOnce = async (tenantId: string): Promise<Counted> => {
    const looking = looks.get(tenantId) ?? look(tenantId).finally(() => looks.delete(tenantId))
    looks.set(tenantId, looking)
    return await looking
  }

  return {
    async admit(tenantId, count) {
      let known = counts.get(tenantId)
      if (known === undefined || performance.now() - known.at > FRESH_MS) known = await lookOnce(tenantId)
      if (known.count + count > max) {
        throw new AppError('rate_limited', {
          detail: `The tenant has ${known.count} open missions; ${max} are allowed.`,
          fix: 'Wait until some have ended.',
          retryAfterMs: 2000,
        })
      }
      known.count += count
    },
  }
}
