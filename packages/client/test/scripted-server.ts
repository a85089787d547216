import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { createClient } from '@hypercode/client'
import type { ClientOptions, HyperClient } from '@hypercode/client'
import { onTestFinished } from 'vitest'

export interface Seen {
  readonly method: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
  readonly at: number
}

/** What the server does with one request. */
export type Act = (response: ServerResponse, request: IncomingMessage, body: Buffer) => void | Promise<void>

export interface ScriptedServer {
  readonly url: string
  readonly seen: Seen[]
  readonly client: HyperClient
}

/** A real server that meets request after request with the next act; the last one is repeated. */
export async function scripted(acts: readonly Act[], options: Partial<ClientOptions> = {}): Promise<ScriptedServer> {
  const seen: Seen[] = []
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const act = acts[Math.min(seen.length, acts.length - 1)]
    const at = performance.now()
    const { method = '', url = '', headers } = request
    const index = seen.push({ method, url, headers, body: '', at }) - 1
    const body = await buffer(request)
    seen[index] = { method, url, headers, body: body.toString(), at }
    await act?.(response, request, body)
  }
  const server = createServer((request, response) => {
    // A test that cuts the connection while the body comes in wants exactly this.
    serve(request, response).catch((error: unknown) => response.destroy(error as Error))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const client = createClient({
    baseUrl: url,
    token: 'test-token',
    retry: { initialDelayMs: 1, maxDelayMs: 5 },
    ...options,
  })
  onTestFinished(async () => {
    await client.close()
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  return { url, seen, client }
}

export const json =
  (body: unknown, status = 200, headers: Record<string, string> = {}): Act =>
  (response) =>
    void response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))

export const problem = (status: number, code: string, headers: Record<string, string> = {}, detail?: string): Act =>
  json(
    {
      type: `https://hypercode.dev/problems/${code}`,
      title: 'T',
      status,
      code,
      correlationId: 'c',
      ...(detail && { detail }),
    },
    status,
    {
      'content-type': 'application/problem+json',
      ...headers,
    },
  )

/** Cuts the connection without an answer. */
export const cut: Act = (response) => void response.destroy()

/** Cuts the connection in the middle of the answer. */
export const cutInside: Act = (response) => {
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' })
  response.write('{"tasks":[', () => response.destroy())
}

/** Never answers. */
export const silence: Act = () => {}

/** Gives a token that lives for `lifeS` seconds; each one is another. */
export function tokens(lifeS = 900): Act {
  let count = 0
  return (response, request, body) =>
    json({ access_token: `token-${++count}`, token_type: 'Bearer', expires_in: lifeS, scope: '' })(
      response,
      request,
      body,
    )
}
