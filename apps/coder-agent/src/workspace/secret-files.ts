import { posix } from 'node:path'

/**
 * Is it a file that holds secrets by its name? Such files stay out of the workspace: whatever a model or a command reads there
 * can leave the machine.
 */
export function isSecretFile(path: string): boolean {
  const name = posix.basename(path).toLowerCase()
  if (/^\.env(?:\..+)?$/.test(name)) return !/\.(?:example|sample|template|dist|defaults?)$/.test(name)
  return NAMES.has(name) || /\.(?:pem|key|p12|pfx|jks|keystore|kdbx)$/.test(name)
}

const NAMES = new Set([
  '.netrc',
  '.npmrc',
  '.pypirc',
  '.git-credentials',
  '.htpasswd',
  '.pgpass',
  'credentials',
  'id_dsa',
  'id_ecdsa',
  'id_ed25519',
  'id_rsa',
])
