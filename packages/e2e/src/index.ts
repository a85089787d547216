export type { ClientKey, Platform, PlatformOptions } from './platform.ts'
export type { Fleet } from './fleet.ts'
export { fleetOf, isAlive, pidOf } from './fleet.ts'
export { startPlatform } from './platform.ts'
