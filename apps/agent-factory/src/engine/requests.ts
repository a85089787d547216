import { changeFleet } from '@hypercode/events'
import { AppError } from '@hypercode/http'
import { answerRequest } from '../domain/requests.ts'
import type { RequestName } from '../domain/requests.ts'
import { applyChange } from '../store/changes.ts'
import { lockInstance } from '../store/instances.ts'
import type { Fleet } from './fleet.ts'
import { noInstance } from './not-there.ts'

export interface InstanceRequest {
  readonly name: RequestName
  readonly tenantId: string
  readonly id: string
  readonly actor: string
}

const PAST: Readonly<Record<RequestName, string>> = {
  stop: 'instance.stop_requested',
  restart: 'instance.restart_requested',
  kill: 'instance.kill_requested',
  hibernate: 'instance.hibernate_requested',
  wake: 'instance.wake_requested',
  release: 'instance.released',
}

/** Writes what somebody asks of an instance; the engine carries it out. @throws not_found, or conflict with the reason */
export async function requestChange(fleet: Fleet, { name, tenantId, id, actor }: InstanceRequest): Promise<void> {
  await changeFleet(fleet.db, fleet.publish, [tenantId], async (trx, journal) => {
    const instance = await lockInstance(trx, tenantId, id)
    if (instance === undefined) throw noInstance(id)
    const answer = answerRequest(name, instance)
    if ('refused' in answer) throw new AppError('conflict', { detail: answer.refused, fix: answer.fix })
    if (answer.change === undefined) return
    await applyChange(trx, journal, fleet, instance, answer.change, { actor })
    const detail = { from: instance.lifecycle, to: answer.change.lifecycle }
    journal.audit({ tenantId, actor, action: PAST[name], ref: id, detail })
  })
  fleet.nudge()
}
