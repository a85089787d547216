/** How the token battery makes its tokens, and how it asks with them. */
import { createHmac, generateKeyPairSync, sign } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import type { Problem } from '@hypercode/contracts'
import { expect } from 'vitest'
import { auth, serve } from './service.ts'
import type { TestService } from './service.ts'

export const now = (): number => Math.floor(Date.now() / 1000)

export const ed = generateKeyPairSync('ed25519')

export const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })

export const KID = 'key-1'

export const b64 = (value: string | Buffer): string => Buffer.from(value).toString('base64url')

export const raw = (header: unknown, payload: string, signature: (input: string) => Buffer): string => {
  const input = `${b64(JSON.stringify(header))}.${b64(payload)}`
  return `${input}.${b64(signature(input))}`
}

export const hmac =
  (key: string | Buffer, hash = 'sha256') =>
  (input: string): Buffer =>
    createHmac(hash, key).update(input).digest()

export const edSign =
  (key: KeyObject = ed.privateKey) =>
  (input: string): Buffer =>
    sign(null, Buffer.from(input), key)

export const none = (): Buffer => Buffer.alloc(0)

export const HS = { alg: 'HS256', typ: 'at+jwt' }

export const ED = { alg: 'EdDSA', typ: 'at+jwt', kid: KID }

export async function ask({ url }: TestService, token: string): Promise<Response> {
  return await fetch(`${url}/guarded`, { headers: { authorization: `Bearer ${token}` } })
}

export const startService = (keys: typeof auth.keys): Promise<TestService> =>
  serve(
    (app) =>
      void app.get('/guarded', { config: { scopes: ['agent:read'] } }, (request) => ({
        subject: request.principal.subject,
      })),
    {
      auth: { ...auth, keys },
    },
  )

export async function expectRefused(service: TestService, make: () => string): Promise<void> {
  // The first request of a process pays for compiling; it is not what is measured.
  await ask(service, 'a.b.c')
  const token = make()
  const before = process.cpuUsage()
  const response = await ask(service, token)
  const { user, system } = process.cpuUsage(before)
  const problem = (await response.json()) as Problem
  expect(response.status).toBe(401)
  expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/)
  expect(response.headers.get('www-authenticate')).toBe('Bearer error="invalid_token"')
  expect(problem).toMatchObject({
    status: 401,
    code: 'token_invalid',
    type: 'https://hypercode.dev/problems/token_invalid',
  })
  // CPU and not time: other processes of the machine do not count.
  expect((user + system) / 1000).toBeLessThan(50)
  // A second time, in case the first one had put it into the cache.
  expect((await ask(service, token)).status).toBe(401)
}
