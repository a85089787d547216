import { createLane, isConnectionError } from '@hypercode/db'
import type { Lane } from '@hypercode/db'
import { runWithContext } from '@hypercode/telemetry'
import type { RegistrationOutcome, RegistrationRequest } from '../domain/registration.ts'
import type { RegistryMetrics } from '../metrics.ts'
import { registerAll } from '../store/registrations.ts'
import type { RegistrarDeps } from '../store/registrations.ts'

export interface RegistrationLaneOptions extends RegistrarDeps {
  readonly metrics: RegistryMetrics
  readonly onFull: (waiting: number) => Error
}

/** A card may be 256 KiB, so fewer wait than beats do. */
const WAITING_MAX = 2000
const BATCH_MAX = 100

/** Registrations of a tenant come one after the other anyway, so a herd of agents is registered in a few large transactions. */
export function createRegistrationLane(
  options: RegistrationLaneOptions,
): Lane<RegistrationRequest, RegistrationOutcome> {
  return createLane<RegistrationRequest, RegistrationOutcome>({
    name: 'registrations',
    maxBatch: BATCH_MAX,
    lanes: 1,
    maxWaiting: WAITING_MAX,
    onFull: options.onFull,
    mayIsolate: (error) => !isConnectionError(error),
    run: async (requests) => {
      const outcomes = await runWithContext({}, async () => await registerAll(options, requests))
      for (const { kind } of outcomes) options.metrics.registrations.inc({ outcome: kind })
      return outcomes
    },
  })
}
