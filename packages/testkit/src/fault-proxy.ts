/**
 * A TCP proxy that breaks on command: between a service and its Postgres, PgBouncer, Redis or gateway. It never changes bytes; it
 * delays them, holds them, or takes the connection away at a chosen moment.
 */
import { createServer, connect } from 'node:net'
import type { Server, Socket } from 'node:net'
import { pickPort } from '@hypercode/local-stack'
import { pipeFaulty } from './faulty-pipe.ts'

/**
 * - `pass`: everything goes through
 * - `black-hole`: connections open and stay open, and no byte moves in either direction; what was sent arrives when it passes again
 * - `refuse`: nothing listens, and connections that were open are cut
 */
export type ProxyMode = 'pass' | 'black-hole' | 'refuse'

export interface FaultProxy {
  readonly port: number
  /** Added to every chunk, in each direction. Order is kept. */
  latencyMs: number
  readonly mode: ProxyMode
  /** Connections that are open now. */
  readonly connections: number
  /** The same address, through the proxy. */
  through(url: string): string
  setMode(mode: ProxyMode): Promise<void>
  /** Resets every open connection; answers how many. New ones are taken. */
  cut(): number
  /** No byte moves any more on the connections that are open, and nobody is told; answers how many. New ones are taken. */
  strand(): number
  /**
   * Once: lets the next request pass that `when` accepts (any, when not given), drops what the server answers, and resets the connection.
   * So the server has done the work and the caller cannot know. Resolves when that has happened. `when` sees one chunk as it arrived.
   */
  cutReply(when?: (request: Buffer) => boolean): Promise<void>
  stop(): Promise<void>
}

interface Pair {
  readonly client: Socket
  readonly server: Socket
  readonly flush: () => void
  stranded: boolean
  doomed?: () => void
}

interface ArmedCut {
  readonly when: (request: Buffer) => boolean
  readonly done: () => void
}

/** @param target the server's URL, with a host and a port */
export async function createFaultProxy(target: string): Promise<FaultProxy> {
  const { hostname, port: targetPort } = new URL(target)
  const port = await pickPort()
  const pairs = new Set<Pair>()
  const state = { mode: 'pass' as ProxyMode, latencyMs: 0 }
  let armed: ArmedCut[] = []

  const accept = (client: Socket): void => {
    const server = connect({ host: hostname, port: Number(targetPort), allowHalfOpen: true, noDelay: true })
    const held = (): boolean => state.mode === 'black-hole' || pair.stranded
    const latencyMs = (): number => state.latencyMs
    const up = pipeFaulty(client, server, { held, latencyMs, onChunk: (chunk) => onRequest(pair, chunk) })
    const down = pipeFaulty(server, client, { held, latencyMs, onChunk: () => onReply(pair) })
    const pair: Pair = {
      client,
      server,
      stranded: false,
      flush: () => {
        up.flush()
        down.flush()
      },
    }
    pairs.add(pair)
    for (const socket of [client, server]) {
      socket.on('error', () => reset(pair)) // either side's fault ends both
      socket.on('close', () => {
        if (client.destroyed && server.destroyed) pairs.delete(pair)
        else if (socket.errored !== null) reset(pair)
      })
    }
  }

  const onRequest = (pair: Pair, chunk: Buffer): boolean => {
    const hit = armed.find((cut) => cut.when(chunk))
    if (hit !== undefined) {
      armed = armed.filter((cut) => cut !== hit)
      pair.doomed = hit.done
    }
    return true
  }

  const onReply = (pair: Pair): boolean => {
    if (pair.doomed === undefined) return true
    reset(pair)
    pair.doomed()
    return false
  }

  const reset = (pair: Pair): void => {
    pairs.delete(pair)
    pair.client.resetAndDestroy()
    pair.server.resetAndDestroy()
  }

  const cut = (): number => {
    const open = [...pairs]
    for (const pair of open) reset(pair)
    return open.length
  }

  const strand = (): number => {
    for (const pair of pairs) pair.stranded = true
    return pairs.size
  }

  let listener: Server | undefined
  const listen = async (): Promise<void> => {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, accept)
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve))
    listener = server
  }
  const refuse = async (): Promise<void> => {
    const closing = listener
    listener = undefined
    const closed = closing === undefined ? undefined : new Promise((resolve) => closing.close(resolve))
    cut()
    await closed
  }
  await listen()

  return {
    port,
    get latencyMs() {
      return state.latencyMs
    },
    set latencyMs(value) {
      state.latencyMs = value
    },
    get mode() {
      return state.mode
    },
    get connections() {
      return pairs.size
    },
    through: (url) => {
      const changed = new URL(url)
      changed.host = `127.0.0.1:${port}`
      return changed.href
    },
    async setMode(mode) {
      state.mode = mode
      if (mode === 'refuse') await refuse()
      else if (listener === undefined) await listen()
      if (mode === 'pass') for (const pair of pairs) pair.flush()
    },
    cut,
    strand,
    cutReply: async (when = () => true) => await new Promise<void>((done) => armed.push({ when, done })),
    stop: refuse,
  }
}
