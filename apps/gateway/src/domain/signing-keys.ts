import { createPrivateKey, createPublicKey } from 'node:crypto'
import type { JsonWebKey } from 'node:crypto'
import type { SigningKey, TokenKeys } from '@hypercode/http'
import { calculateJwkThumbprint } from 'jose'

/** What the gateway signs access tokens with, and what everybody verifies them with. */
export interface SigningKeys {
  /** The id of a key is the RFC 7638 thumbprint of its public half; a shared secret has none. */
  readonly signing: SigningKey
  /** What the gateway itself accepts: the current key and, during a rotation, the other one. */
  readonly accepted: TokenKeys
  /** RFC 7517 key set; empty for a shared secret. */
  readonly jwks: { readonly keys: readonly PublicJwk[] }
}

export type PublicJwk = JsonWebKey & { kid: string }

interface KeyConfig {
  readonly JWT_SECRET?: string
  readonly JWT_PRIVATE_KEY?: string
  readonly JWT_PREVIOUS_PUBLIC_KEY?: string
}

/** Throws a TypeError when the configuration holds no key; `readConfig` has seen to it that it holds exactly one. */
export async function readSigningKeys(config: KeyConfig): Promise<SigningKeys> {
  if (config.JWT_SECRET !== undefined) {
    const secret = config.JWT_SECRET
    return { signing: { algorithm: 'HS256', key: secret }, accepted: { secret }, jwks: { keys: [] } }
  }
  if (config.JWT_PRIVATE_KEY === undefined) throw new TypeError('neither JWT_SECRET nor JWT_PRIVATE_KEY is set')
  const publicKey = createPublicKey(createPrivateKey(config.JWT_PRIVATE_KEY)).export({ type: 'spki', format: 'pem' })
  const current = await publicJwk(String(publicKey))
  const others = config.JWT_PREVIOUS_PUBLIC_KEY === undefined ? [] : [await publicJwk(config.JWT_PREVIOUS_PUBLIC_KEY)]
  const keys = [current, ...others.filter((key) => key.kid !== current.kid)]
  return {
    signing: { algorithm: 'EdDSA', key: config.JWT_PRIVATE_KEY, keyId: current.kid },
    accepted: { publicKeys: keys },
    jwks: { keys },
  }
}

async function publicJwk(pem: string): Promise<PublicJwk> {
  const { kty, crv, x } = createPublicKey(pem).export({ format: 'jwk' })
  if (kty === undefined || crv === undefined || x === undefined) throw new TypeError('not an Ed25519 public key')
  return { kty, crv, x, kid: await calculateJwkThumbprint({ kty, crv, x }), use: 'sig', alg: 'EdDSA' }
}
