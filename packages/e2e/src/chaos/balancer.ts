import { connect, createServer } from 'node:net'
import type { Socket } from 'node:net'

export interface Balancer {
  readonly url: string
  stop(): Promise<void>
}

/** Hands each connection to the next of the ports that takes it: what stands before two of a service in production. */
export async function startBalancer(port: number, ports: readonly number[]): Promise<Balancer> {
  const sockets = new Set<Socket>()
  let turn = 0
  const server = createServer({ noDelay: true }, (client) => {
    sockets.add(client)
    client.once('close', () => sockets.delete(client))
    client.on('error', () => client.destroy())
    turn += 1
    attempt(client, turn, ports.length)
  })
  const attempt = (client: Socket, index: number, left: number): void => {
    if (left === 0) {
      client.destroy()
      return
    }
    const upstream = connect({ host: '127.0.0.1', port: ports[index % ports.length] ?? 0, noDelay: true })
    upstream.once('connect', () => {
      upstream.removeAllListeners('error')
      upstream.on('error', () => client.destroy())
      // What it said before it closed still goes out.
      upstream.once('close', (broken) => (broken ? client.destroy() : client.end()))
      client.once('close', () => upstream.destroy())
      client.pipe(upstream).pipe(client)
    })
    upstream.once('error', () => attempt(client, index + 1, left - 1))
  }
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${port}`,
    async stop() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
