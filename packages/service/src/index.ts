export { createBackbone } from './backbone.ts'
export type { Backbone, BackboneDeps } from './backbone.ts'
export { tokenKeysOf } from './token-keys.ts'
