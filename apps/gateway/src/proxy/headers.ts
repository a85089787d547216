import type { IncomingHttpHeaders } from 'node:http'
import { childTraceparent, currentContext } from '@hypercode/telemetry'
import type { FastifyReply, FastifyRequest } from 'fastify'

/** Belong to one connection (RFC 9110, 7.6.1), or are written anew for the next one. */
const NOT_FORWARDED = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'expect',
  'host',
  'content-length',
  'http2-settings',
  // Where the request came from is what we saw, never what it says.
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-forwarded-prefix',
  'x-forwarded-proto',
  'x-forwarded-server',
  'x-real-ip',
  'true-client-ip',
  'cf-connecting-ip',
  'x-client-ip',
  'x-original-url',
  'x-rewrite-url',
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
  'x-correlation-id',
  'traceparent',
])

/** Headers for the service behind: those of the caller without the ones above, and our own. Names and values in turn. */
export function requestHeaders(request: FastifyRequest): string[] {
  const { headers } = request.raw
  const listed = connectionListed(headers)
  const out: string[] = []
  for (const name in headers) {
    if (NOT_FORWARDED.has(name) || listed?.has(name) === true) continue
    const value = headers[name]
    if (typeof value === 'string') out.push(name, value)
    else if (value !== undefined) for (const part of value) out.push(name, part)
  }
  out.push('x-correlation-id', request.id)
  out.push('traceparent', currentContext().traceparent ?? childTraceparent(undefined))
  out.push('x-forwarded-for', request.ip, 'x-forwarded-proto', request.protocol)
  if (request.host !== undefined) out.push('x-forwarded-host', request.host)
  return out
}

const NOT_ANSWERED = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'date',
  'x-correlation-id',
])

/** Hands on the status and the headers of the service's answer. */
export function answerHeaders(reply: FastifyReply, headers: IncomingHttpHeaders): void {
  const listed = connectionListed(headers)
  for (const name in headers) {
    if (NOT_ANSWERED.has(name) || listed?.has(name) === true) continue
    const value = headers[name]
    if (value !== undefined) reply.header(name, value)
  }
}

/** Headers that the sender declares to be for this connection alone. */
function connectionListed({ connection }: IncomingHttpHeaders): Set<string> | undefined {
  if (connection === undefined || connection === 'keep-alive' || connection === 'close') return undefined
  return new Set(connection.split(',').map((name) => name.trim().toLowerCase()))
}
