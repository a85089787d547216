/** Whether a field of this name holds a secret, however it is spelled: `clientSecret`, `client_secret`, `Client-Secret`. */
export function isSensitiveKey(key: string): boolean {
  const known = verdicts.get(key)
  if (known !== undefined) return known
  const verdict = judge(key)
  if (verdicts.size < MAX_REMEMBERED) verdicts.set(key, verdict)
  return verdict
}

const MAX_REMEMBERED = 1_000
const verdicts = new Map<string, boolean>()

const EXACT = new Set([
  'jwt',
  'pwd',
  'cookies',
  'setcookie',
  'credential',
  'credentials',
  'rawheaders',
  'clientassertion',
  'sig',
])
const ENDINGS = [
  'authorization',
  'cookie',
  'password',
  'passwd',
  'passphrase',
  'secret',
  'token',
  'apikey',
  'privatekey',
  'signingkey',
  'pem',
  'signature',
]
/** A fencing token is a number that orders writes; lines without it could not be understood. */
const HARMLESS = new Set(['fencingtoken'])

function judge(key: string): boolean {
  const plain = key.toLowerCase().replace(/[^a-z0-9]/g, '')
  if (HARMLESS.has(plain)) return false
  return EXACT.has(plain) || ENDINGS.some((ending) => plain.endsWith(ending) || plain.endsWith(`${ending}s`))
}
