/** Steps that end what was started, in the order of the starts. */
export type Undo = (() => Promise<unknown>)[]

/** Starts what consists of many parts. `stop` ends all that is in `undo`, the last first, and so does a start that throws. */
export async function allOrNothing<T>(start: (undo: Undo, stop: () => Promise<void>) => Promise<T>): Promise<T> {
  const undo: Undo = []
  const stop = async (): Promise<void> => {
    for (const step of undo.splice(0).reverse()) await step()
  }
  try {
    return await start(undo, stop)
  } catch (error) {
    await stop()
    throw error
  }
}
