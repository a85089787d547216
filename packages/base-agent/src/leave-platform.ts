import { ROUTES } from '@hypercode/contracts'
import type { Registration } from '@hypercode/contracts'
import type { HyperClient } from '@hypercode/client'
import type { Logger } from '@hypercode/telemetry'
import { weather } from './platform-errors.ts'

export interface LeaveOptions {
  readonly client: HyperClient
  readonly registration: Registration
  readonly log: Logger
  /** Aborted when nothing may be written any more. */
  readonly dead: AbortSignal
}

/** Tells the platform that the instance takes no new work. Not worth waiting for: without it, it only asks in vain. */
export async function announceDrain(options: LeaveOptions): Promise<void> {
  const { client, registration, log } = options
  const { id, instanceId } = registration
  const signal = AbortSignal.timeout(CALL_MS)
  try {
    if (!(await isCurrent(options, signal))) return
    await client.call(ROUTES.drainAgent, { params: { id }, body: { instanceId }, signal })
  } catch (error) {
    log.info(weather(error), 'the platform does not know that we drain')
  }
}

/** Ends the registration, so that nobody waits for its lease. */
export async function deregister(options: LeaveOptions): Promise<void> {
  const { client, registration, log } = options
  const { id, instanceId } = registration
  const signal = AbortSignal.timeout(CALL_MS)
  try {
    if (!(await isCurrent(options, signal))) return
    await client.call(ROUTES.stopInstance, { params: { id, instanceId }, signal })
    log.info({ instanceId }, 'deregistered')
  } catch (error) {
    log.warn(weather(error), 'could not deregister; the lease will run out')
  }
}

/** Both calls above speak of the instance, not of this incarnation: after a restart they would hit its successor. */
async function isCurrent({ client, registration, dead }: LeaveOptions, signal: AbortSignal): Promise<boolean> {
  if (dead.aborted) return false
  const { body } = await client.call(ROUTES.getAgent, { params: { id: registration.id }, signal })
  const own = body.instances.find(({ id }) => id === registration.instanceId)
  return own === undefined || own.incarnation === registration.incarnation
}

const CALL_MS = 2_000
