/**
 * Ends the waiting when `work` takes longer than `ms`, with an error that says for what. vitest bounds tests and hooks, but not the
 * taking down of fixtures: a close that never ends would hold up the run for ever and name nobody.
 */
export async function atMost<T>(ms: number, what: string, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took longer than ${ms} ms`)), ms)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
