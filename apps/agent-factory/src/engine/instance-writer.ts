import type { Logger } from '@hypercode/telemetry'
import type { CrashDraft } from '../domain/crashes.ts'
import type { FactoryInstance } from '../domain/factory-instance.ts'
import { crashed } from '../domain/transitions.ts'
import type { Change } from '../domain/transitions.ts'
import type { FactoryMetrics } from '../metrics.ts'
import { writeChange } from '../store/changes.ts'
import type { ChangeDeps } from '../store/changes.ts'

export interface WriterDeps extends ChangeDeps {
  readonly owner: string
  readonly log: Logger
  readonly metrics: FactoryMetrics
}

/** Both answer the instance as it is after the change; undefined when somebody else has changed it, and nothing was written. */
export interface InstanceWriter {
  readonly write: (instance: FactoryInstance, change: Change) => Promise<FactoryInstance | undefined>
  /** `keep` when its process still has to be killed. */
  readonly crash: (
    instance: FactoryInstance,
    draft: CrashDraft,
    launch: 'keep' | 'gone',
  ) => Promise<FactoryInstance | undefined>
}

export function createInstanceWriter(deps: WriterDeps): InstanceWriter {
  const write: InstanceWriter['write'] = async (instance, change) => {
    if (!(await writeChange(deps, instance, change, deps.owner))) return undefined
    const { event, lifecycle } = change
    if (event !== undefined) deps.log.info({ ...about(instance), ...event.body, lifecycle }, event.type)
    return changed(instance, change)
  }
  return {
    write,
    async crash(instance, draft, launch) {
      deps.metrics.crashes.inc({ reason: draft.reason })
      return await write(instance, crashed(instance, draft, launch))
    },
  }
}

/** What log lines about an instance carry. */
export const about = ({ id, tenantId, blueprint, version }: FactoryInstance) => ({
  instanceId: id,
  tenantId,
  blueprint,
  version,
})

function changed(instance: FactoryInstance, { lifecycle, desired, launch, handle }: Change): FactoryInstance {
  return {
    ...instance,
    lifecycle,
    desired: desired ?? instance.desired,
    versionNo: instance.versionNo + 1,
    ...(typeof launch === 'object' && {
      launchId: launch.launchId,
      host: launch.host,
      handle: null,
      sinceStartMs: 0,
      starts: instance.starts + 1,
    }),
    ...(launch === 'gone' && { launchId: null, handle: null }),
    ...(handle !== undefined && { handle }),
  }
}
