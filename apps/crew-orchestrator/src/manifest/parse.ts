import { CrewManifest } from '@hypercode/contracts'
import { createManifestReader } from '@hypercode/manifest'
import { meaningFaults } from './meaning.ts'

/** Crew manifests from YAML or JSON: `parse` a body that came as text, `read` a member of a JSON body. */
const reader = createManifestReader(CrewManifest, meaningFaults)

export const parseManifest = reader.parse
export const readManifest = reader.read
