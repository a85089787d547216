import { hashSecret, verifySecret } from '@hypercode/db'
import fc from 'fast-check'
import { expect, test } from 'vitest'

/** HMAC, which scrypt is built on, fills short keys with zero bytes: U+0000 at the end of a secret makes no difference. */
const core = (secret: string): string => secret.replace(/\0+$/, '')

// scrypt is slow on purpose, so a few runs have to do.
test('a secret fits its own hash and no other one does', async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' }), async (secret, other) => {
      const hash = await hashSecret(secret)
      expect(await verifySecret(secret, hash)).toBe(true)
      if (core(secret) !== core(other)) expect(await verifySecret(other, hash)).toBe(false)
    }),
    {
      numRuns: 10,
      examples: [
        ['a', 'b'],
        ['secret', 'secret '],
        ['', '\0'],
        ['é', 'e\u0301'],
      ],
    },
  )
})

test('two hashes of a secret differ, and neither holds it', async () => {
  const secret = 'k7Jq-a-secret-that-is-easy-to-find'
  const [one, two] = [await hashSecret(secret), await hashSecret(secret)]
  expect(one.equals(two)).toBe(false)
  expect(one).toHaveLength(48)
  expect(one.includes(secret)).toBe(false)
})

test('every single byte of the hash counts', async () => {
  const hash = await hashSecret('s')
  for (const at of [0, 15, 16, 47]) {
    const changed = Buffer.from(hash)
    changed[at] = (changed[at] ?? 0) ^ 1
    expect(await verifySecret('s', changed), `byte ${at}`).toBe(false)
  }
})

test('a hash that is cut short fits nothing', async () => {
  const hash = await hashSecret('s')
  for (const length of [0, 15, 16, 17, 47]) expect(await verifySecret('s', hash.subarray(0, length))).toBe(false)
  expect(await verifySecret('s', Buffer.concat([hash, Buffer.from([0])]))).toBe(false)
})
