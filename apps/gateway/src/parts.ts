import type { ServiceName } from '@hypercode/contracts'
import type { DatabaseHandle } from '@hypercode/db'
import type { Keys } from '@hypercode/events'
import type { Backbone } from '@hypercode/service'
import type { Logger, Metrics } from '@hypercode/telemetry'
import type { Redis } from 'ioredis'
import type { SecretCheck } from './domain/secret-check.ts'
import type { SigningKeys } from './domain/signing-keys.ts'
import type { Upstream } from './proxy/upstream.ts'
import type { EventHub } from './streams/event-hub.ts'

export interface GatewayDeps {
  readonly log: Logger
  readonly metrics: Metrics
  readonly database: DatabaseHandle
  /** For commands that must fail fast; the tail of the event hints opens a connection of its own. */
  readonly redis: Redis
  readonly keys: Keys
  /** Longest time for a service behind to answer, 12000 by default; long-lived operations have none. */
  readonly answerMs?: number
}

export type ProxiedService = Exclude<ServiceName, 'gateway'>

/** What lives as long as the app and is shared by its routes. */
export interface Parts {
  readonly keys: SigningKeys
  readonly secrets: SecretCheck
  readonly backbone: Backbone
  readonly hub: EventHub
  /** The services behind, each with its own connections. */
  readonly upstreams: Readonly<Record<ProxiedService, Upstream>>
  /** What the background knows of itself. */
  readonly state: {
    /** A read for an event stream failed, so the streams should look again soon. */
    lookAgain: boolean
  }
}

export const VERSION = '0.1.0'
