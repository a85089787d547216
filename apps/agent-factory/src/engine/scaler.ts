import type { Trx } from '@hypercode/db'
import { changeFleet } from '@hypercode/events'
import type { FleetJournal, QueueRef } from '@hypercode/events'
import type { Logger } from '@hypercode/telemetry'
import { answerRequest } from '../domain/requests.ts'
import type { RequestName } from '../domain/requests.ts'
import { isNothing, scale } from '../domain/scaling.ts'
import type { ScaleDecision } from '../domain/scaling.ts'
import type { FactoryMetrics } from '../metrics.ts'
import { applyChange } from '../store/changes.ts'
import { lockInstance } from '../store/instances.ts'
import { addInstances, promoteSpares } from '../store/new-instances.ts'
import type { Mould } from '../store/new-instances.ts'
import { findTargets, noteIdleness, readSnapshot } from '../store/scale-snapshots.ts'
import type { ScaleTarget } from '../store/scale-snapshots.ts'
import type { Fleet } from './fleet.ts'

export interface ScalerOptions {
  readonly fleet: Fleet
  readonly scaleAfterMs: number
  readonly log: Logger
  readonly metrics: FactoryMetrics
}

/** Versions that one turn looks at. */
const TARGETS_MAX = 1000
const ACTOR = 'system'

/**
 * One turn of scaling; run it as a loop in every replica. It looks without a lock first, and when there is something to do, decides again
 * under the head of the tenant, which spawns hold too: two of them never make the same instance twice.
 */
export function createScaler({ fleet, scaleAfterMs, log, metrics }: ScalerOptions): () => Promise<void> {
  const { db, publish, limits, instancesMax } = fleet
  const scaleLimits = { populationMax: limits.populationMax, instancesMax, scaleAfterMs }

  const request = async (
    trx: Trx,
    journal: FleetJournal,
    tenantId: string,
    ids: readonly string[],
    name: RequestName,
  ) => {
    for (const id of ids) {
      const locked = await lockInstance(trx, tenantId, id)
      const answer = locked === undefined ? undefined : answerRequest(name, locked)
      if (locked === undefined || answer === undefined || !('change' in answer) || answer.change === undefined) continue
      await applyChange(trx, journal, fleet, locked, answer.change, { actor: ACTOR })
    }
  }

  const apply = async (trx: Trx, journal: FleetJournal, mould: Mould, decision: ScaleDecision) => {
    const { tenantId } = mould
    await request(trx, journal, tenantId, decision.wake, 'wake')
    await request(trx, journal, tenantId, decision.hibernate, 'hibernate')
    await request(trx, journal, tenantId, decision.stop, 'stop')
    const member = { origin: 'population', actor: ACTOR } as const
    const promoted = await promoteSpares(trx, journal, mould, { ...member, count: decision.promote })
    await addInstances(trx, journal, mould, { ...member, role: 'member', count: decision.spawn })
    const spare = { origin: 'warm', role: 'spare', actor: ACTOR } as const
    await addInstances(trx, journal, mould, { ...spare, count: decision.spawnSpares })
    return promoted.queues
  }

  const rescale = async (target: ScaleTarget): Promise<void> => {
    const first = await readSnapshot(db, target, scaleLimits)
    if (first === undefined || isNothing(scale(first.snapshot))) return
    const queues = await changeFleet(
      db,
      publish,
      [target.tenantId],
      async (trx, journal): Promise<readonly QueueRef[]> => {
        const found = await readSnapshot(trx, target, scaleLimits)
        if (found === undefined) return []
        const decision = scale(found.snapshot)
        if (isNothing(decision)) return []
        const { queued } = found.snapshot
        log.info({ ...target, ...decision, queued }, 'scaling')
        metrics.scalings.inc({})
        return await apply(trx, journal, found.mould, decision)
      },
    )
    fleet.nudge()
    await fleet.ring(queues)
  }

  return async () => {
    await noteIdleness(db)
    for (const target of await findTargets(db, TARGETS_MAX)) await rescale(target)
  }
}
