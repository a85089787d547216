import { createHash, createHmac, pbkdf2Sync, randomBytes, timingSafeEqual } from 'node:crypto'

/** One SCRAM-SHA-256 login (RFC 5802, without channel binding), for passwords of plain ASCII. */
export interface ScramLogin {
  readonly first: string
  /** Answers the server's challenge. Throws when the challenge is not for us. */
  answer(challenge: string): string
  /** Throws when the server does not know the password either. */
  verify(final: string): void
}

export function scramLogin(password: string): ScramLogin {
  const nonce = randomBytes(18).toString('base64')
  const bare = `n=,r=${nonce}`
  let expected: Buffer | undefined
  return {
    first: `n,,${bare}`,
    answer(challenge) {
      const { r: joined = '', s: salt = '', i: rounds = '' } = attributes(challenge)
      if (!joined.startsWith(nonce) || joined === nonce || !/^\d{4,6}$/.test(rounds)) {
        throw new Error('the server sent a bad SCRAM challenge')
      }
      const salted = pbkdf2Sync(password, Buffer.from(salt, 'base64'), Number(rounds), 32, 'sha256')
      const clientKey = hmac(salted, 'Client Key')
      const unproved = `c=biws,r=${joined}`
      const transcript = `${bare},${challenge},${unproved}`
      const signature = hmac(createHash('sha256').update(clientKey).digest(), transcript)
      const proof = clientKey.map((byte, index) => byte ^ (signature[index] ?? 0))
      expected = hmac(hmac(salted, 'Server Key'), transcript)
      return `${unproved},p=${Buffer.from(proof).toString('base64')}`
    },
    verify(final) {
      const given = Buffer.from(attributes(final)['v'] ?? '', 'base64')
      if (expected === undefined || given.length !== expected.length || !timingSafeEqual(given, expected)) {
        throw new Error('the server could not prove that it knows the password')
      }
    },
  }
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

function attributes(message: string): Partial<Record<string, string>> {
  return Object.fromEntries(message.split(',').map((part) => [part.slice(0, 1), part.slice(2)]))
}
