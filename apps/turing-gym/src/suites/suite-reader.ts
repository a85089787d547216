import { SuiteManifest } from '@hypercode/contracts'
import { createManifestReader } from '@hypercode/manifest'
import type { ManifestReader } from '@hypercode/manifest'
import type { ScorerModules } from '../scoring/scorer-modules.ts'
import { suiteFaults } from './suite-faults.ts'

export type SuiteReader = ManifestReader<SuiteManifest>

/** Reads suites from YAML or JSON and reports every fault with its place; `modules` are the scorers that suites may call by name. */
export const createSuiteReader = (modules: ScorerModules): SuiteReader =>
  createManifestReader(SuiteManifest, (manifest) => suiteFaults(manifest, modules))
