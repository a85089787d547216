import { createPrivateKey, createPublicKey } from 'node:crypto'
import type { KeyObject } from 'node:crypto'

/** What is wrong with a text that should be a key; the problem never quotes it. */
export type KeyFault = { code: 'not-a-key' | 'low-entropy'; problem: string }

/** What is wrong with a text that should be an Ed25519 private key, PKCS #8 in PEM; `undefined` when it is one. */
export function privateKeyFault(pem: string): KeyFault | undefined {
  const fault = pemFault(pem, 'PRIVATE KEY', createPrivateKey)
  if (fault !== undefined) return fault
  const seed = createPrivateKey(pem).export({ format: 'der', type: 'pkcs8' }).subarray(-32)
  // 32 random bytes hold 30 different ones on average; fewer than 16 do not come about by chance.
  if (new Set(seed).size < 16) return { code: 'low-entropy', problem: 'is a key that was not made from random bytes' }
  return undefined
}

/** What is wrong with a text that should be an Ed25519 public key in PEM; `undefined` when it is one. */
export function publicKeyFault(pem: string): KeyFault | undefined {
  return pemFault(pem, 'PUBLIC KEY', createPublicKey)
}

function pemFault(pem: string, label: string, parse: (pem: string) => KeyObject): KeyFault | undefined {
  const notAKey = (problem: string): KeyFault => ({ code: 'not-a-key', problem })
  const [begin, end] = [`-----BEGIN ${label}-----`, `-----END ${label}-----`]
  if (pem.includes('\\n')) return notAKey('holds \\n in two characters where line breaks belong')
  if (!pem.trim().startsWith(begin) || !pem.trim().endsWith(end)) return notAKey(`is not one ${label} block in PEM`)
  const key = attempt(() => parse(pem))
  if (key === undefined) return notAKey('is not a key that can be read')
  return key.asymmetricKeyType === 'ed25519' ? undefined : notAKey('is not an Ed25519 key')
}

function attempt(parse: () => KeyObject): KeyObject | undefined {
  try {
    return parse()
  } catch {
    return undefined // OpenSSL's reason may quote the key, so it goes no further
  }
}
