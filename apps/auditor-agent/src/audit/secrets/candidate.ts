import type { Lines } from '../source/source-file.ts'

/**
 * Where a literal stands: the fallback of an environment variable, a field of a settings class, a plain assignment, an
 * argument, a property of an object, the default of a parameter, the key of a cryptographic call, or a configuration file.
 */
export type Where =
  | 'env-default'
  | 'settings'
  | 'assignment'
  | 'argument'
  | 'property'
  | 'parameter'
  | 'crypto'
  | 'config'

/** A literal that stands where a secret belongs, or a string that may be a URL with credentials. */
export interface Candidate extends Lines {
  readonly name: string
  readonly value: string
  readonly where: Where
}
