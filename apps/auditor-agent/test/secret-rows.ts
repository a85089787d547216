/** What the tables of secrets are made of. */
import type { Files } from './support/repository.ts'

export interface Row {
  readonly name: string
  readonly files: Files
  readonly found: readonly string[]
}

// Put together here, so that no scanner takes this file for a leak.
export const RANDOM = ['9fK2mQ8x', 'Lw4ZrT7v', 'Bn3YpJ6c'].join('')

export const GITHUB = `ghp_${'aB3dE5gH7jK9mN1pQ2sT4vW6xY8zA0cD2fG5'}`
