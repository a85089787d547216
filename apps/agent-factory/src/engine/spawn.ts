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
import { findSpawned, keepSpawned } from '../store/spawns.ts'
import type { Fleet } from './fleet.ts'

export interface SpawnOrder {
  readonly count: number
  readonly origin: Origin
  readonly pool?: string | undefined
  readonly labels?: Labels | undefined
  readonly env?: Readonly<Record<string, string>> | undefined
  readonly actor: string
  /** Under the same key nothing is spawned twice; `requestHash` tells the same request from another one. */
  readonly once?: { readonly key: string; readonly requestHash: string } | undefined
}

export interface SpawnResult {
  readonly ids: readonly string[]
  /** They were spawned by an earlier request with the same key. */
  readonly replayed: boolean
}

/**
 * Makes instances of a version, warm spares first. What is to run with variables of its own, or in a pool, cannot
 * be a spare, which has started without.
 */
export async function spawn(fleet: Fleet, blueprint: BlueprintRecord, order: SpawnOrder): Promise<SpawnResult> {
  const { db, publish, limits } = fleet
  const { tenantId } = blueprint
  const { once } = order
  const recipe = recipeOf(blueprint.manifest, limits.populationMax)
  const mould = mouldOf(blueprint, recipe)
  let queues: readonly QueueRef[] = []
  const result = await changeFleet(db, publish, [tenantId], async (trx, journal): Promise<SpawnResult> => {
    const known = once === undefined ? undefined : await findSpawned(trx, tenantId, once.key)
    if (known !== undefined) {
      if (known.requestHash !== once?.requestHash) throw new AppError('idempotency_mismatch')
      return { ids: known.instanceIds, replayed: true }
    }
    refuseUnfit(blueprint, limits)
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
    const ids = [...promoted.ids, ...(await addInstances(trx, journal, mould, { ...order, count, role: 'member' }))]
    if (once !== undefined) await keepSpawned(trx, tenantId, once.key, { ...once, instanceIds: ids })
    return { ids, replayed: false }
  })
  fleet.nudge()
  await fleet.ring(queues)
  return result
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
