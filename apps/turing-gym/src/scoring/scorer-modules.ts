import { isAbsolute } from 'node:path'
import { pathToFileURL } from 'node:url'
import { compileSchema } from '@hypercode/manifest'
import type { SchemaCheck } from '@hypercode/manifest'
import type { ScorerModule } from './define-scorer.ts'

/** A module that the gym was given, ready to score. */
export interface LoadedScorer {
  readonly scorer: ScorerModule
  /** Faults of the options that a suite gives it. */
  readonly optionFaults: SchemaCheck
}

/** The scorer modules of this gym, by name. */
export type ScorerModules = ReadonlyMap<string, LoadedScorer>

/** Only what was configured, by absolute path, is ever loaded: a suite names a scorer and never a file. */
export async function loadScorerModules(paths: readonly string[]): Promise<ScorerModules> {
  const loaded = new Map<string, LoadedScorer>()
  for (const path of paths) {
    const scorer = await load(path)
    if (loaded.has(scorer.name))
      throw new ScorerModuleError(path, `"${scorer.name}" is already the name of another one`)
    loaded.set(scorer.name, { scorer, optionFaults: optionCheck(scorer) })
  }
  return loaded
}

export class ScorerModuleError extends Error {
  override readonly name = 'ScorerModuleError'
  constructor(path: string, fault: string, cause?: unknown) {
    super(`the scorer module ${path}: ${fault}`, { cause })
  }
}

async function load(path: string): Promise<ScorerModule> {
  if (!isAbsolute(path)) throw new ScorerModuleError(path, 'is no absolute path')
  let exported: { readonly default?: unknown }
  try {
    exported = (await import(pathToFileURL(path).href)) as typeof exported
  } catch (cause) {
    throw new ScorerModuleError(
      path,
      `cannot be loaded: ${cause instanceof Error ? cause.message : String(cause)}`,
      cause,
    )
  }
  if (!isScorer(exported.default))
    throw new ScorerModuleError(path, 'its default export is no scorer with name and score')
  return exported.default
}

const NAME = /^[a-z0-9@][A-Za-z0-9@/._-]{0,199}$/

function isScorer(value: unknown): value is ScorerModule {
  if (typeof value !== 'object' || value === null || !('name' in value) || !('score' in value)) return false
  return typeof value.name === 'string' && NAME.test(value.name) && typeof value.score === 'function'
}

const optionCheck = ({ options }: ScorerModule): SchemaCheck =>
  options === undefined ? (value) => (value === undefined ? [] : ['it takes no options']) : compileSchema(options)
