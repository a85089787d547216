export { startPlatform } from './platform.ts'
export type { ClientKey, Platform, PlatformOptions } from './platform.ts'
