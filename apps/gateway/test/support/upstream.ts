import { createHash } from 'node:crypto'
import { fastify } from 'fastify'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

/** What a request looked like when it reached the service. */
export interface Seen {
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly bytes: number
  readonly sha256: string
}

export interface TestUpstream {
  readonly url: string
  readonly server: FastifyInstance
  readonly seen: Seen[]
  /** How the next requests are answered; echoes what it saw when not set. */
  answer?: ((request: FastifyRequest, reply: FastifyReply, seen: Seen) => unknown) | undefined
  close(): Promise<void>
}

/** A service behind the gateway: takes any path and any body, and says what it got. */
export async function startUpstream(port = 0): Promise<TestUpstream> {
  const server = fastify({ bodyLimit: 64 * 1024 * 1024, forceCloseConnections: true, keepAliveTimeout: 5000 })
  const seen: Seen[] = []
  server.removeAllContentTypeParsers()
  server.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  server.all('*', async (request, reply) => {
    const body = (request.body ?? Buffer.alloc(0)) as Buffer
    const one = {
      method: request.method,
      url: request.raw.url ?? '',
      headers: request.headers,
      bytes: body.length,
      sha256: createHash('sha256').update(body).digest('hex'),
    }
    seen.push(one)
    return upstream.answer === undefined ? one : await upstream.answer(request, reply, one)
  })
  const url = await server.listen({ host: '127.0.0.1', port })
  const upstream: TestUpstream = { url, server, seen, close: async () => await server.close() }
  return upstream
}
