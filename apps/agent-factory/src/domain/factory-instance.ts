import type { Crash, DriverName, Health, Labels, Lifecycle } from '@hypercode/contracts'
import type { Handle } from '../drivers/driver.ts'
import type { Recipe } from './recipe.ts'

/** A row of `factory_instances` as the engine judges it; every age is by the clock of the database. */
export interface FactoryInstance {
  readonly id: string
  readonly tenantId: string
  readonly blueprint: string
  readonly version: number
  readonly driver: DriverName
  readonly role: 'member' | 'spare'
  readonly pool: string | null
  readonly labels: Labels
  readonly env: Readonly<Record<string, string>>
  readonly clientId: string
  readonly lifecycle: Lifecycle
  readonly desired: 'running' | 'hibernating' | 'stopped'
  /** Machine, engine or cluster of the launch. */
  readonly host: string | null
  /** Set before the driver is called, and until the process is known to be gone. */
  readonly launchId: string | null
  /** Missing although there is a launch id: the start is on its way, or whoever made it has died. */
  readonly handle: Handle | null
  readonly starts: number
  /** Newest first. */
  readonly crashes: readonly Crash[]
  readonly isReady: boolean
  readonly logCursor: number
  readonly versionNo: number
  readonly now: Date
  /** Since the launch was written; null when it was put to sleep since. */
  readonly sinceStartMs: number | null
  /** Until it may be started again; 0 or less when that is now. */
  readonly dueInMs: number
  /** What the registry knows of the agent since this launch; undefined when it has not registered. */
  readonly vitals: Vitals | undefined
  readonly recipe: Recipe
}

export interface Vitals {
  readonly health: Health
  /** The lease of its latest beat has not run out. */
  readonly isBeating: boolean
  /** How long its main thread had been blocked at its latest beat. */
  readonly loopLagMs: number
}
