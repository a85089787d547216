import type { JsonWebKey } from 'node:crypto'
import { createLocalJWKSet, errors } from 'jose'
import type { CryptoKey, FlattenedJWSInput, JSONWebKeySet, JWK, JWTHeaderParameters } from 'jose'
import { AppError } from './app-error.ts'

/** Where the keys that sign access tokens come from; each kind allows one algorithm. */
export type TokenKeys =
  /** HS256; at least 32 bytes. */
  | { readonly secret: string }
  /** EdDSA with Ed25519. */
  | { readonly publicKeys: readonly JsonWebKey[] }
  /** EdDSA with the keys that this address lists. */
  | { readonly jwksUrl: string }

export interface KeySource {
  readonly algorithm: 'HS256' | 'EdDSA'
  readonly find: (header: JWTHeaderParameters, token: FlattenedJWSInput) => Promise<CryptoKey>
}

const SECRET_BYTES_MIN = 32

/** Throws a TypeError for keys that are unfit, so that a service with such keys does not boot. */
export async function createKeySource(keys: TokenKeys): Promise<KeySource> {
  if ('secret' in keys) return await secretKey(keys.secret)
  if ('jwksUrl' in keys) return remoteKeys(keys.jwksUrl)
  if (keys.publicKeys.length === 0) throw new TypeError('publicKeys is empty')
  const set = ed25519Only(keys.publicKeys)
  if (set.keys.length !== keys.publicKeys.length)
    throw new TypeError('publicKeys must be Ed25519 keys (kty OKP, crv Ed25519)')
  return { algorithm: 'EdDSA', find: createLocalJWKSet(set) }
}

async function secretKey(secret: string): Promise<KeySource> {
  const bytes = new TextEncoder().encode(secret)
  if (bytes.length < SECRET_BYTES_MIN) throw new TypeError(`the token secret is shorter than ${SECRET_BYTES_MIN} bytes`)
  const key = await crypto.subtle.importKey('raw', bytes, { name: 'HMAC', hash: 'SHA-256' }, false, ['verify'])
  return { algorithm: 'HS256', find: () => Promise.resolve(key) }
}

/** Private members never matter here, and keys of other kinds are not for access tokens. */
function ed25519Only(keys: readonly unknown[]): JSONWebKeySet {
  const usable = keys.filter(
    (key): key is JWK =>
      typeof key === 'object' &&
      key !== null &&
      'crv' in key &&
      key.crv === 'Ed25519' &&
      'kty' in key &&
      key.kty === 'OKP',
  )
  return {
    keys: usable.map(({ kty, crv, x, kid, use }) => ({ kty, crv, x, ...(kid && { kid }), ...(use && { use }) }) as JWK),
  }
}

const FRESH_MS = 300_000
const RELOAD_MIN_MS = 30_000
const FETCH_TIMEOUT_MS = 2000
const JWKS_BYTES_MAX = 65_536

/**
 * Keys of a JWKS address. They are loaded at first use and again in the background when they are older than five minutes; a key
 * id that is not among them causes at most one load in 30 s. While the address does not answer, the last keys go on counting.
 */
function remoteKeys(url: string): KeySource {
  new URL(url)
  let keys: ReturnType<typeof createLocalJWKSet> | undefined
  let loadedAt = 0
  let triedAt = -Infinity
  let loading: Promise<void> | undefined

  const load = async (): Promise<void> => {
    triedAt = performance.now()
    try {
      keys = createLocalJWKSet(ed25519Only(await fetchKeys(url)))
      loadedAt = performance.now()
    } catch (cause) {
      // Without any key nobody can be let in, and the caller is not to blame.
      if (keys === undefined) {
        throw new AppError('unavailable', { detail: 'The token keys cannot be loaded.', retryAfterMs: 1000, cause })
      }
    }
  }
  const reload = (): Promise<void> => (loading ??= load().finally(() => (loading = undefined)))
  const mayReload = (): boolean => loading !== undefined || performance.now() - triedAt > RELOAD_MIN_MS

  return {
    algorithm: 'EdDSA',
    async find(header, token) {
      if (keys === undefined) await reload()
      else if (performance.now() - loadedAt > FRESH_MS && mayReload()) await reload()
      try {
        return await pick()
      } catch (error) {
        if (!(error instanceof errors.JWKSNoMatchingKey) || !mayReload()) throw error
        await reload()
        return await pick()
      }
      async function pick(): Promise<CryptoKey> {
        if (keys === undefined) throw new errors.JWKSNoMatchingKey()
        return await keys(header, token)
      }
    },
  }
}

async function fetchKeys(url: string): Promise<readonly unknown[]> {
  const response = await fetch(url, { signal: AbortSignal.timeout(FETCH_TIMEOUT_MS), redirect: 'error' })
  if (!response.ok) throw new Error(`the JWKS address answered ${response.status}`)
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body ?? []) {
    size += chunk.length
    if (size > JWKS_BYTES_MAX) throw new Error(`the JWKS address answered more than ${JWKS_BYTES_MAX} bytes`)
    chunks.push(chunk)
  }
  const set: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'))
  if (typeof set !== 'object' || set === null || !('keys' in set) || !Array.isArray(set.keys)) {
    throw new Error('the JWKS address answered no key set')
  }
  return set.keys as readonly unknown[]
}
