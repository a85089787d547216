/** What rows were, and since when: a statement may have seen any version from its beginning on. */
export interface Versions<T> {
  add(id: string, row: T, since: number): void
  /** The versions that a statement which began then may have seen, oldest first. */
  from(id: string, begunAt: number): T[]
}

export function createVersions<T>(): Versions<T> {
  const all = new Map<string, { row: T; since: number }[]>()
  return {
    add(id, row, since) {
      const versions = all.get(id) ?? []
      versions.push({ row, since })
      all.set(id, versions)
    },
    from(id, begunAt) {
      const versions = all.get(id) ?? []
      return versions
        .filter((_, index) => (versions[index + 1]?.since ?? Number.POSITIVE_INFINITY) >= begunAt)
        .map(({ row }) => row)
    },
  }
}
