import { runAddress } from './run-client.ts'
import { TEST_AUDIENCE, TEST_ISSUER, randomSecret, signToken } from './tokens.ts'
import type { TokenOptions } from './tokens.ts'

/** What services under test are configured with. The JWT secret is one for the whole run, so that every file's tokens fit. */
export const testSecrets = {
  issuer: TEST_ISSUER,
  audience: TEST_AUDIENCE,
  jwtSecret: runAddress().jwtSecret,
  bootstrapClientSecret: randomSecret(),
} as const

/** An access token that is good for every service configured with `testSecrets`. */
export const signTestToken = (options: TokenOptions): string => signToken(testSecrets.jwtSecret, options)
