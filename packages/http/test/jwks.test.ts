import { generateKeyPairSync } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TokenVerifier } from '@hypercode/http'
import { SignJWT } from 'jose'
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { CLIENT, auth, bearer, buildService, goodClaims, serve } from './service.ts'

afterEach(() => void vi.restoreAllMocks())

interface Key {
  readonly kid: string
  readonly privateKey: KeyObject
  readonly jwk: object
}

function newKey(kid: string): Key {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  return { kid, privateKey, jwk: { ...publicKey.export({ format: 'jwk' }), kid, alg: 'EdDSA', use: 'sig' } }
}

const sign = ({ kid, privateKey }: Key): Promise<string> =>
  new SignJWT(goodClaims('agent:read')).setProtectedHeader({ alg: 'EdDSA', typ: 'at+jwt', kid }).sign(privateKey)

/** A key server whose answer the test sets. */
async function keyServer(): Promise<{
  url: string
  asked: () => number
  answer: { status: number; body: string }
  server: Server
}> {
  let asked = 0
  const answer = { status: 200, body: '{"keys":[]}' }
  const server = createServer((_request, response) => {
    asked++
    response.writeHead(answer.status, { 'content-type': 'application/json' }).end(answer.body)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/.well-known/jwks.json`
  return { url, asked: () => asked, answer, server }
}

const jwks = (...keys: object[]): string => JSON.stringify({ keys })
async function verifierOf(jwksUrl: string): Promise<TokenVerifier> {
  const { app } = await buildService(undefined, { auth: { ...auth, keys: { jwksUrl } } })
  onTestFinished(() => app.close())
  return app.tokens
}

/** Lets the clock of the verifier run ahead. */
function later(ms: number): void {
  const real = performance.now.bind(performance)
  vi.spyOn(performance, 'now').mockImplementation(() => real() + ms)
}

describe('keys of an address', () => {
  test('are loaded once for many tokens', async () => {
    const { url, asked, answer } = await keyServer()
    const key = newKey('a')
    answer.body = jwks(key.jwk)
    const verifier = await verifierOf(url)
    const tokens = await Promise.all(Array.from({ length: 20 }, () => sign(key)))
    const principals = await Promise.all(tokens.map((token) => verifier.verify(token)))
    expect(principals.map(({ clientId }) => clientId)).toEqual(Array.from({ length: 20 }, () => CLIENT))
    expect(asked()).toBe(1)
  })

  test('are loaded again for a key id that is new, and the old key goes on counting', async () => {
    const { url, asked, answer } = await keyServer()
    const [old, fresh] = [newKey('old'), newKey('fresh')]
    answer.body = jwks(old.jwk)
    const verifier = await verifierOf(url)
    await verifier.verify(await sign(old))
    answer.body = jwks(old.jwk, fresh.jwk)
    later(31_000)
    await verifier.verify(await sign(fresh))
    await verifier.verify(await sign(old))
    expect(asked()).toBe(2)
  })

  test('are loaded at most once in 30 s, however many unknown key ids come', async () => {
    const { url, asked, answer } = await keyServer()
    answer.body = jwks(newKey('a').jwk)
    const verifier = await verifierOf(url)
    const strangers = Array.from({ length: 50 }, (_, i) => newKey(`stranger-${i}`))
    const refused = async (key: Key): Promise<unknown> =>
      await expect(verifier.verify(await sign(key))).rejects.toMatchObject({ code: 'token_invalid' })
    await Promise.all(strangers.map(refused))
    expect(asked()).toBe(1)
    later(31_000)
    await Promise.all(strangers.map(refused))
    for (const key of strangers) await refused(key)
    expect(asked()).toBe(2)
  })

  test('that are gone from the list stop counting', async () => {
    const { url, answer } = await keyServer()
    const key = newKey('a')
    answer.body = jwks(key.jwk)
    const verifier = await verifierOf(url)
    const token = await sign(key)
    await verifier.verify(token)
    expect(verifier.recall(token)).toBeDefined()
    answer.body = jwks(newKey('b').jwk)
    later(301_000)
    await expect.poll(() => verifier.recall(token)).toBeUndefined()
    await expect(verifier.verify(token)).rejects.toMatchObject({ code: 'token_invalid' })
  })

  test('go on counting while the address does not answer', async () => {
    const { url, answer } = await keyServer()
    const key = newKey('a')
    answer.body = jwks(key.jwk)
    const verifier = await verifierOf(url)
    await verifier.verify(await sign(key))
    answer.status = 500
    later(301_000)
    expect((await verifier.verify(await sign(key))).clientId).toBe(CLIENT)
  })

  test('of other kinds do not count', async () => {
    const { url, answer } = await keyServer()
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
    answer.body = jwks(
      { ...rsa.publicKey.export({ format: 'jwk' }), kid: 'rsa' },
      { kty: 'oct', k: 'c2VjcmV0', kid: 'oct' },
    )
    const verifier = await verifierOf(url)
    const header = { alg: 'RS256', typ: 'at+jwt', kid: 'rsa' }
    const token = await new SignJWT(goodClaims('agent:read')).setProtectedHeader(header).sign(rsa.privateKey)
    await expect(verifier.verify(token)).rejects.toMatchObject({ code: 'token_invalid' })
  })
})

describe('an address that has never answered', () => {
  test.each([
    ['refuses', (answer: { status: number; body: string }) => void (answer.status = 500)],
    ['answers no JSON', (answer: { status: number; body: string }) => void (answer.body = '<html>')],
    ['answers no list', (answer: { status: number; body: string }) => void (answer.body = '{"keys":5}')],
    ['answers without end', (answer: { status: number; body: string }) => void (answer.body += ' '.repeat(100_000))],
  ])('and %s makes it our fault, not that of the token', async (_name, spoil) => {
    const { url, answer } = await keyServer()
    const key = newKey('a')
    answer.body = jwks(key.jwk)
    spoil(answer)
    const { url: service } = await serve(
      (app) => void app.get('/guarded', { config: { scopes: ['agent:read'] } }, () => ({})),
      {
        auth: { ...auth, keys: { jwksUrl: url } },
      },
    )
    const headers = { authorization: `Bearer ${await sign(key)}` }
    const response = await fetch(`${service}/guarded`, { headers })
    expect(response.status).toBe(503)
    expect(await response.json()).toMatchObject({ code: 'unavailable', detail: 'The token keys cannot be loaded.' })
    Object.assign(answer, { status: 200, body: jwks(key.jwk) })
    expect((await fetch(`${service}/guarded`, { headers })).status).toBe(200)
  })

  test('does not let a token of a shared secret in', async () => {
    const { url, answer } = await keyServer()
    answer.body = jwks()
    const { url: service } = await serve(
      (app) => void app.get('/guarded', { config: { scopes: ['agent:read'] } }, () => ({})),
      {
        auth: { ...auth, keys: { jwksUrl: url } },
      },
    )
    expect((await fetch(`${service}/guarded`, { headers: await bearer('agent:read') })).status).toBe(401)
  })
})
