export interface Edit {
  /** From the root of the repository. */
  file: string
  /** Stands there exactly once; otherwise the mutant does not fit the source any more, which is an error. */
  find: string
  replace: string
}

export interface Mutant {
  name: string
  about: string
  edits: readonly Edit[]
}

const SRC = 'apps/crew-orchestrator/src'

/** An edit of a source of the orchestrator. */
export const edit = (file: string, find: string, replace: string): Edit => ({ file: `${SRC}/${file}`, find, replace })
