import { once } from 'node:events'
import { connect } from 'node:net'
import type { AddressInfo } from 'node:net'
import { Writable } from 'node:stream'
import { newId } from '@hypercode/contracts'
import type { Problem, Scope } from '@hypercode/contracts'
import { createService } from '@hypercode/http'
import type { AuthOptions, ServiceApp, ServiceOptions } from '@hypercode/http'
import { createLogger, createMetrics } from '@hypercode/telemetry'
import { SignJWT } from 'jose'
import { onTestFinished } from 'vitest'

export const ISSUER = 'https://hypercode.test'
export const AUDIENCE = 'hypercode'
export const SECRET = 'kq3!vZ8w_Lr5Tn0Yc7Xp2Gd9Hs4Jf6Bm1'
export const TENANT = '00000000-0000-7000-8000-0000000000aa'
export const CLIENT = '00000000-0000-7000-8000-0000000000c1'

export const auth: AuthOptions = { issuer: ISSUER, audience: AUDIENCE, keys: { secret: SECRET } }

export type LogLine = Record<string, unknown>
export type Routes = (app: ServiceApp) => void | Promise<void>

export interface TestService {
  readonly app: ServiceApp
  readonly url: string
  readonly port: number
  readonly logs: readonly LogLine[]
}

/** A service as an app builds it, with its log lines at hand. */
export async function buildService(
  routes: Routes = () => {},
  options: Partial<ServiceOptions> = {},
): Promise<{ app: ServiceApp; logs: LogLine[] }> {
  const logs: LogLine[] = []
  const destination = new Writable({
    write(chunk: Buffer, _encoding, done) {
      for (const line of chunk.toString().split('\n')) if (line !== '') logs.push(JSON.parse(line) as LogLine)
      done()
    },
  })
  const app = await createService({
    name: 'test-service',
    version: '1.2.3',
    logger: createLogger({ service: 'test-service', level: 'info', destination }),
    metrics: createMetrics('test-service', { processMetrics: false }),
    auth,
    ...options,
  })
  await routes(app)
  return { app, logs }
}

/** The same, listening on a free port until the end of the test. */
export async function serve(routes?: Routes, options?: Partial<ServiceOptions>): Promise<TestService> {
  const { app, logs } = await buildService(routes, options)
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  onTestFinished(() => app.close())
  return { app, logs, url, port: (app.server.address() as AddressInfo).port }
}

/** Claims of a good token. */
export function goodClaims(...scopes: Scope[]): Record<string, unknown> {
  const now = Math.floor(Date.now() / 1000)
  return {
    iss: ISSUER,
    aud: AUDIENCE,
    sub: `${CLIENT}/one`,
    tenant: TENANT,
    scope: scopes.join(' '),
    jti: newId(),
    iat: now,
    exp: now + 900,
  }
}

/** A good token with these scopes. */
export async function tokenFor(...scopes: Scope[]): Promise<string> {
  const header = { alg: 'HS256', typ: 'at+jwt' }
  return await new SignJWT(goodClaims(...scopes)).setProtectedHeader(header).sign(new TextEncoder().encode(SECRET))
}

export const bearer = async (...scopes: Scope[]): Promise<{ authorization: string }> => ({
  authorization: `Bearer ${await tokenFor(...scopes)}`,
})

export const problemOf = async (response: Response): Promise<Problem> => (await response.json()) as Problem

/** Sends bytes as they are and answers what comes back until the server closes the connection. */
export async function sendRaw(port: number, ...chunks: (string | Buffer)[]): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  const received: Buffer[] = []
  socket.on('data', (chunk) => received.push(chunk))
  socket.on('error', (error) => received.push(Buffer.from(`<${(error as NodeJS.ErrnoException).code}>`)))
  for (const chunk of chunks) socket.write(chunk)
  await once(socket, 'close')
  return Buffer.concat(received).toString()
}
