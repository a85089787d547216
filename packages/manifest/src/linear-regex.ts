import { RE2JS, RE2JSException } from 're2js'

/** A pattern whose search takes time in proportion to the text. An agent writes the text, so nothing that back-tracks may read it. */
export interface LinearRegex {
  /** Whether it is found anywhere in the text. */
  readonly test: (text: string) => boolean
  /** Whether it is the whole text. */
  readonly isWhole: (text: string) => boolean
}

/** @throws {PatternError} for what is no pattern of RE2: look-around and back-references are none */
export function compileRegex(pattern: string): LinearRegex {
  try {
    const compiled = RE2JS.compile(pattern)
    return { test: (text) => compiled.matcher(text).find(), isWhole: (text) => compiled.matcher(text).matches() }
  } catch (error) {
    if (!(error instanceof RE2JSException)) throw error
    throw new PatternError(error.message)
  }
}

export class PatternError extends Error {
  override readonly name = 'PatternError'
}
