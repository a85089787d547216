export { canonical, contentHash, hashText } from './canonical.ts'
export { createManifestReader } from './manifest-reader.ts'
export type { ManifestReader, ReadManifest } from './manifest-reader.ts'
