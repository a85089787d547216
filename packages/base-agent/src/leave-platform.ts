import { ROUTES } from '@hypercode/contracts'
import type { Registration } from '@hypercode/contracts'
import type { HyperClient } from '@hypercode/client'
import type { Logger } from '@hypercode/telemetry'
import { isFenced, weather } from './platform-errors.ts'

export interface LeaveOptions {
  readonly client: HyperClient
  readonly registration: Registration
  readonly log: Logger
  /** Aborted when nothing may be written any more. */
  readonly dead: AbortSignal
}

/** Tells the platform, of this incarnation alone, that the instance takes no new work. Not worth waiting for: without it, it only asks in vain. */
export async function announceDrain(options: LeaveOptions): Promise<void> {
  const { client, registration, log, dead } = options
  if (dead.aborted) return
  const { id, instanceId, incarnation } = registration
  const signal = AbortSignal.timeout(CALL_MS)
  try {
    await client.call(ROUTES.drainAgent, { params: { id }, body: { instanceId, incarnation }, signal })
  } catch (error) {
    log.info(weather(error), 'the platform does not know that we drain')
  }
}

/** Ends the registration of this incarnation, and not that of a successor, so that nobody waits for its lease. */
export async function deregister(options: LeaveOptions): Promise<void> {
  const { client, registration, log, dead } = options
  if (dead.aborted) return
  const { id, instanceId, incarnation } = registration
  const signal = AbortSignal.timeout(CALL_MS)
  try {
    await client.call(ROUTES.stopInstance, { params: { id, instanceId }, query: { incarnation }, signal })
    log.info({ instanceId }, 'deregistered')
  } catch (error) {
    if (isFenced(error)) log.info({ instanceId }, 'a newer incarnation has the registration')
    else log.warn(weather(error), 'could not deregister; the lease will run out')
  }
}

const CALL_MS = 2_000
