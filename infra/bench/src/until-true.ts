const LOOK_MS = 3
const MAX_MS = 120_000

/** Looks as often as our own benchmark looks for its results, and not for ever. */
export async function untilTrue(look: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + MAX_MS
  while (!(await look())) {
    if (performance.now() > deadline) throw new Error(`not done within ${MAX_MS} ms`)
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
  }
}
