/** The largest number of label combinations of one metric. */
const MAX_SERIES = 1_000

/**
 * Keeps a metric from growing without a bound: after a thousand combinations of label values, new ones are counted
 * together under the value `other`.
 */
export class SeriesGuard {
  readonly #seen = new Set<string>()

  admit<L extends Readonly<Record<string, string | number>>>(labels: L): Record<string, string | number> {
    const key = Object.values(labels).join('\u0000')
    if (this.#seen.has(key)) return labels
    if (this.#seen.size >= MAX_SERIES) return Object.fromEntries(Object.keys(labels).map((name) => [name, 'other']))
    this.#seen.add(key)
    return labels
  }
}
