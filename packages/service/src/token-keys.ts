import type { TokenKeys } from '@hypercode/http'

/**
 * Where the keys of access tokens come from, as the configuration of a service names it: the shared secret when there is one, else the
 * address of the public keys. Throws a TypeError when there is neither; a configuration that was checked has one of them.
 */
export function tokenKeysOf(config: {
  readonly JWT_SECRET?: string | undefined
  readonly JWT_JWKS_URL?: string | undefined
}): TokenKeys {
  if (config.JWT_SECRET !== undefined) return { secret: config.JWT_SECRET }
  if (config.JWT_JWKS_URL !== undefined) return { jwksUrl: config.JWT_JWKS_URL }
  throw new TypeError('neither JWT_SECRET nor JWT_JWKS_URL is set')
}
