import { Writable } from 'node:stream'
import { newId } from '@hypercode/contracts'
import type { Scope } from '@hypercode/contracts'
import { createLogger, createMetrics } from '@hypercode/telemetry'
import { SignJWT } from 'jose'
import { createService } from '@hypercode/http'
import type { AuthOptions, ServiceApp, ServiceOptions } from '@hypercode/http'

export const ISSUER = 'https://hypercode.test'
export const AUDIENCE = 'hypercode'
export const SECRET = 'kq3!vZ8w_Lr5Tn0Yc7Xp2Gd9Hs4Jf6Bm1'
export const TENANT = '00000000-0000-7000-8000-0000000000aa'
export const CLIENT = '00000000-0000-7000-8000-0000000000c1'

export const auth: AuthOptions = { issuer: ISSUER, audience: AUDIENCE, keys: { secret: SECRET } }

export type LogLine = Record<string, unknown>

/** A service as an app builds it, with its log lines at hand. `routes` registers the routes of the test. */
export async function buildService(
  routes: (app: ServiceApp) => void | Promise<void> = () => {},
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

/** A good token with these scopes. */
export async function tokenFor(...scopes: Scope[]): Promise<string> {
  return await new SignJWT({ tenant: TENANT, scope: scopes.join(' ') })
    .setProtectedHeader({ alg: 'HS256', typ: 'at+jwt' })
    .setIssuer(ISSUER)
    .setAudience(AUDIENCE)
    .setSubject(`${CLIENT}/one`)
    .setJti(newId())
    .setIssuedAt()
    .setExpirationTime('15m')
    .sign(new TextEncoder().encode(SECRET))
}

export const bearer = async (...scopes: Scope[]): Promise<{ authorization: string }> => ({
  authorization: `Bearer ${await tokenFor(...scopes)}`,
})
