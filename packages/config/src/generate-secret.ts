import { randomBytes } from 'node:crypto'

/** A fresh secret of `bytes` random bytes in base64url, fit for a URL and for an env file without quotes. */
export function generateSecret(bytes = 48): string {
  if (!Number.isInteger(bytes) || bytes < 16 || bytes > 1_024) throw new RangeError('a secret has 16 to 1024 bytes')
  return randomBytes(bytes).toString('base64url')
}
