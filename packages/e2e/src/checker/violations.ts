import type { Broken } from '@hypercode/testkit/invariants'

const ROWS_MAX = 5

/** Gathers what is wrong by the name of its invariant, and keeps some rows of each. */
export class Violations {
  readonly #found = new Map<string, unknown[]>()

  add(invariant: string, row: object): void {
    const rows = this.#found.get(invariant) ?? []
    if (rows.length < ROWS_MAX) rows.push(row)
    this.#found.set(invariant, rows)
  }

  list(): Broken[] {
    return [...this.#found].map(([invariant, rows]) => ({ invariant, rows }))
  }
}
