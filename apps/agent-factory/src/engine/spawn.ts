import type { Labels } from '@hypercode/contracts'
import { changeFleet } from '@hypercode/events'
import type { QueueRef } from '@hypercode/events'
import { AppError } from '@hypercode/http'
import { blueprintFaults } from '../domain/blueprint-faults.ts'
import { recipeOf } from '../domain/recipe.ts'
import type { Recipe } from '../domain/recipe.ts'
import type { BlueprintRecord } from '../store/blueprints.ts'
import { addInstances, countLive, promoteSpares } from '../store/new-instances.ts'
import type { Mould, Origin } from '../store/new-instances.ts'
import type { Fleet } from './fleet.ts'

export interface SpawnOrder {
  readonly count: number
  readonly origin: Origin
  readonly pool?: string | undefined
  readonly labels?: Labels | undefined
  readonly env?: Readonly<Record<string, string>> | undefined
  readonly actor: string
}

/**
 * Makes instances of a version, warm spares first, and answers their ids. What is to run with variables of its own, or in a pool, cannot
 * be a spare, which has started without.
 */
export async function spawn(fleet: Fleet, blueprint: BlueprintRecord, order: SpawnOrder): Promise<string[]> {
  const { db, publish, limits } = fleet
  refuseUnfit(blueprint, limits)
  const recipe = recipeOf(blueprint.manifest, limits.populationMax)
  const mould = mouldOf(blueprint, recipe)
  let queues: readonly QueueRef[] = []
  const ids = await changeFleet(db, publish, [blueprint.tenantId], async (trx, journal) => {
    const live = await countLive(trx, mould, order.pool)
    refuseBeyond(order.count, live.members, recipe.population.max)
    const mayBeWarm = order.pool === undefined && Object.keys(order.env ?? {}).length === 0
    const promoted = await promoteSpares(trx, journal, mould, { ...order, count: mayBeWarm ? order.count : 0 })
    const count = order.count - promoted.ids.length
    if (live.all + count > fleet.instancesMax) {
      throw new AppError('no_capacity', {
        detail: `The factory runs ${live.all} instances, and may run ${fleet.instancesMax}.`,
      })
    }
    queues = promoted.queues
    return [...promoted.ids, ...(await addInstances(trx, journal, mould, { ...order, count, role: 'member' }))]
  })
  fleet.nudge()
  await fleet.ring(queues)
  return ids
}

export const mouldOf = ({ tenantId, name, version, hash }: BlueprintRecord, { driver, skills }: Recipe): Mould => ({
  tenantId,
  blueprint: name,
  version,
  hash,
  driver,
  skills,
})

/** It was stored when the factory had other limits, or a secret that is gone. */
function refuseUnfit({ manifest }: BlueprintRecord, limits: Fleet['limits']): void {
  const faults = blueprintFaults(manifest, limits)
  if (faults.length > 0) throw new AppError('blueprint_invalid', { detail: 'This factory cannot run it now.', faults })
}

function refuseBeyond(count: number, live: number, max: number): void {
  if (live + count <= max) return
  throw new AppError('no_capacity', {
    detail: `${live} instances of the version are there, ${count} more would be more than ${max}.`,
    fix: 'Stop some, or raise spec.population.max in a new version.',
  })
}
