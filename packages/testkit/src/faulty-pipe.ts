import type { Socket } from 'node:net'

export interface PipeRules {
  /** True while no byte may move. */
  held: () => boolean
  latencyMs: () => number
  /** Sees each chunk just before it is passed on; false drops it. */
  onChunk: (chunk: Buffer) => boolean
}

/** Chunks that wait here before we stop reading; TCP then slows the sender. */
const QUEUE_MAX = 64

/** Carries bytes of one direction in order, by the rules. `flush` looks at them again after they have changed. */
export function pipeFaulty(from: Socket, to: Socket, rules: PipeRules): { flush: () => void } {
  const queue: { chunk: Buffer | undefined; dueAt: number }[] = []
  let timer: NodeJS.Timeout | undefined

  const push = (chunk: Buffer | undefined): void => {
    queue.push({ chunk, dueAt: performance.now() + rules.latencyMs() })
    if (queue.length >= QUEUE_MAX) from.pause()
    pump()
  }

  const pump = (): void => {
    if (timer !== undefined) return
    for (let next = queue[0]; next !== undefined; next = queue[0]) {
      if (rules.held() || to.destroyed) return
      const waitMs = next.dueAt - performance.now()
      if (waitMs > 0) {
        timer = setTimeout(() => {
          timer = undefined
          pump()
        }, waitMs)
        return
      }
      queue.shift()
      pass(next.chunk)
    }
  }

  const pass = (chunk: Buffer | undefined): void => {
    if (chunk === undefined) to.end()
    else if (rules.onChunk(chunk) && !to.write(chunk)) {
      from.pause()
      to.once('drain', () => from.resume())
    } else if (queue.length < QUEUE_MAX) from.resume()
  }

  from.on('data', push)
  from.on('end', () => push(undefined))
  from.on('close', () => {
    if (from.errored !== null) clearTimeout(timer)
  })
  return { flush: pump }
}
