import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'

const SALT_BYTES = 16
const HASH_BYTES = 32
const derive = promisify<string, Buffer, number, Buffer>(scrypt)

/** Hash of a client secret as it is stored: 16 bytes of salt, then 32 bytes of scrypt (N = 16384, r = 8, p = 1). */
export async function hashSecret(secret: string): Promise<Buffer> {
  const salt = randomBytes(SALT_BYTES)
  return Buffer.concat([salt, await derive(secret, salt, HASH_BYTES)])
}

/** Compares in constant time; about 35 ms of a worker thread. What is not one of our hashes fits no secret. */
export async function verifySecret(secret: string, stored: Buffer): Promise<boolean> {
  if (stored.length !== SALT_BYTES + HASH_BYTES) return false
  const salt = stored.subarray(0, SALT_BYTES)
  return timingSafeEqual(await derive(secret, salt, HASH_BYTES), stored.subarray(SALT_BYTES))
}
