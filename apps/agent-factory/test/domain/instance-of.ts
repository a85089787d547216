import { newId } from '@hypercode/contracts'
import type { Handle } from '../../src/drivers/driver.ts'
import type { FactoryInstance } from '../../src/domain/factory-instance.ts'
import { recipeOf } from '../../src/domain/recipe.ts'
import { manifestOf } from '../manifest-of.ts'

export const NOW = new Date('2026-01-01T00:00:00Z')

/** A ready member that runs on the process driver; what is named is different. */
export function instanceOf(
  changes: Partial<FactoryInstance> = {},
  spec: Record<string, unknown> = {},
): FactoryInstance {
  const launchId = newId()
  const handle: Handle = { driver: 'process', host: 'here', launchId, instanceId: newId() }
  return {
    id: handle.instanceId,
    tenantId: newId(),
    blueprint: 'coder',
    version: 1,
    driver: 'process',
    role: 'member',
    pool: null,
    labels: {},
    env: {},
    clientId: newId(),
    lifecycle: 'ready',
    desired: 'running',
    host: 'here',
    launchId,
    handle,
    starts: 1,
    crashes: [],
    isReady: true,
    logCursor: 0,
    versionNo: 1,
    now: NOW,
    sinceStartMs: 5000,
    dueInMs: -5000,
    vitals: { health: 'passing', isBeating: true, loopLagMs: 3 },
    recipe: recipeOf(manifestOf('coder', spec), 10),
    ...changes,
  }
}
