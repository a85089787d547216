import type { Blueprint, Instance, Promotion } from '@hypercode/contracts'
import type { Handle } from '../drivers/driver.ts'
import type { BlueprintRecord } from '../store/blueprints.ts'
import type { InstanceRecord } from '../store/instances.ts'
import type { PromotionRecord } from '../store/promotions.ts'

export function viewInstance(record: InstanceRecord): Instance {
  const { id, blueprint, version, hash, driver, role, labels, lifecycle, starts, crashes } = record
  return {
    id,
    blueprint,
    version,
    hash,
    driver,
    role,
    labels,
    lifecycle,
    subject: record.clientId,
    starts,
    crashes,
    createdAt: record.createdAt.toISOString(),
    ...present({
      pool: record.pool,
      reason: record.reason,
      agentId: record.agentId,
      agentInstanceId: record.agentInstanceId,
      place: record.handle === null ? null : placeOf(record.handle),
      lastLines: record.lastLines,
      startedAt: record.startedAt?.toISOString() ?? null,
      readyAt: record.readyAt?.toISOString() ?? null,
      endedAt: record.endedAt?.toISOString() ?? null,
    }),
  }
}

/** Process id, container or pod, whatever the driver calls it, and where that is. */
function placeOf({ driver, host, launchId, ...details }: Handle): string {
  const name = details['pid'] ?? details['container'] ?? details['pod'] ?? launchId
  return `${driver} ${String(name).slice(0, 80)} on ${host}`
}

export function viewBlueprint({ createdAt, tenantId: _, ...blueprint }: BlueprintRecord): Blueprint {
  return { ...blueprint, createdAt: createdAt.toISOString() }
}

export function viewPromotion({ at, stable, ...promotion }: PromotionRecord): Promotion {
  return { ...promotion, ...present({ stable }), at: at.toISOString() }
}

type Present<T> = { [K in keyof T]?: Exclude<T[K], null> }

/** Without what is null. */
const present = <T extends object>(values: T): Present<T> =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null)) as Present<T>
