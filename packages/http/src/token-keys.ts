import { KeyObject } from 'node:crypto'
import type { JsonWebKey } from 'node:crypto'
import { createLocalJWKSet, errors } from 'jose'
import type { CryptoKey, JSONWebKeySet, JWK, JWTHeaderParameters } from 'jose'
import { AppError } from './app-error.ts'

/** Where the keys that sign access tokens come from; each kind allows one algorithm. */
export type TokenKeys =
  /** HS256; at least 32 bytes. */
  | { readonly secret: string }
  /** EdDSA with Ed25519. */
  | { readonly publicKeys: readonly JsonWebKey[] }
  /** EdDSA with the keys that this address lists. */
  | { readonly jwksUrl: string }

/** What new access tokens are signed with. */
export interface SigningKey {
  readonly algorithm: 'HS256' | 'EdDSA'
  /** The shared secret, or the private key as PKCS #8 PEM. */
  readonly key: string
  /** Goes into the header as `kid`. */
  readonly keyId?: string | undefined
}

export interface KeySource {
  readonly algorithm: 'HS256' | 'EdDSA'
  /** The secret itself, or what finds the public key, as PEM, for the header of a token that claims to be signed with it. */
  readonly key: string | ((token: { readonly header: Record<string, unknown> }) => Promise<Buffer>)
}

type FindKey = (header: JWTHeaderParameters) => Promise<CryptoKey>

const SECRET_BYTES_MIN = 32

/** Throws a TypeError for keys that are unfit, so that a service with such keys does not boot. */
export function createKeySource(keys: TokenKeys): KeySource {
  if ('secret' in keys) return secretKey(keys.secret)
  if ('jwksUrl' in keys) return publicKeys(remoteKeys(keys.jwksUrl))
  if (keys.publicKeys.length === 0) throw new TypeError('publicKeys is empty')
  const set = ed25519Only(keys.publicKeys)
  if (set.keys.length !== keys.publicKeys.length)
    throw new TypeError('publicKeys must be Ed25519 keys (kty OKP, crv Ed25519)')
  return publicKeys(createLocalJWKSet(set))
}

function secretKey(secret: string): KeySource {
  if (Buffer.byteLength(secret) < SECRET_BYTES_MIN)
    throw new TypeError(`the token secret is shorter than ${SECRET_BYTES_MIN} bytes`)
  return { algorithm: 'HS256', key: secret }
}

function publicKeys(find: FindKey): KeySource {
  // The same key has to be the same buffer: what a buffer holds is found out once per buffer.
  const pems = new WeakMap<CryptoKey, Buffer>()
  return {
    algorithm: 'EdDSA',
    async key({ header }) {
      // Keys are looked for, and loaded, only for tokens that one of them could have signed.
      if (header['alg'] !== 'EdDSA') throw new errors.JOSEAlgNotAllowed('not EdDSA')
      const key = await find(header as JWTHeaderParameters)
      const pem = pems.get(key) ?? Buffer.from(KeyObject.from(key).export({ type: 'spki', format: 'pem' }))
      pems.set(key, pem)
      return pem
    },
  }
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
function remoteKeys(url: string): FindKey {
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

  return async (header) => {
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
      return await keys(header)
    }
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
