/** A broken rule of our own: a bug, never the caller's fault. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError'
}

export function invariant(holds: boolean, what: string): asserts holds {
  if (!holds) throw new InvariantError(what)
}
