import { Type } from '@sinclair/typebox'
import type { SchemaOptions, TSchema, TString } from '@sinclair/typebox'

/**
 * What a variable holds and therefore how it is judged:
 * - `general`, `jwt`: a shared secret of 32 or more characters
 * - `private-key`: an Ed25519 private key, PKCS #8 in PEM
 * - `public-key`: an Ed25519 public key in PEM, which is no secret but comes in the same ways
 * - `api-key`: a key that a vendor issued, of 20 or more characters
 * - `postgres-url`, `redis-url`: a URL whose password, of 16 or more characters, is the secret
 */
export type SecretKind = (typeof SECRET_KINDS)[number]

const SECRET_KINDS = ['general', 'jwt', 'private-key', 'public-key', 'api-key', 'postgres-url', 'redis-url'] as const

/** None of these takes a default: a service that lacks a secret must not boot. */
type Options = Omit<SchemaOptions, 'default'>

/** A shared secret: 32 or more characters that nobody can guess. */
export const Secret = (options: Options = {}): TString => secretOf('general', options)

/** The key that signs or verifies HS256 tokens: 32 or more characters that nobody can guess. */
export const JwtSecret = (options: Options = {}): TString => secretOf('jwt', options)

/** An Ed25519 private key, PKCS #8 in PEM. */
export const PrivateKeyPem = (options: Options = {}): TString => secretOf('private-key', options)

/** An Ed25519 public key, SubjectPublicKeyInfo in PEM. No secret, but read and checked in the same way. */
export const PublicKeyPem = (options: Options = {}): TString => secretOf('public-key', options)

/** A key issued by a vendor; wrap it in `Type.Optional` where the product works without it. */
export const ApiKey = (options: Options = {}): TString => secretOf('api-key', options)

/** `postgres://user:password@host:port/database`; the password in it is judged. */
export const PostgresUrl = (options: Options = {}): TString => secretOf('postgres-url', options)

/** `redis://user:password@host:port/0` or `rediss://…`; the password in it is judged. */
export const RedisUrl = (options: Options = {}): TString => secretOf('redis-url', options)

/** An `http://` or `https://` URL that carries no credentials. Not a secret, so a default is allowed. */
export const HttpUrl = (options: SchemaOptions = {}): TString => Type.String({ ...options, urlKind: 'http' })

/** The kind of a secret variable, `undefined` for a variable that is none. */
export function secretKindOf(schema: TSchema): SecretKind | undefined {
  const kind: unknown = schema['secretKind']
  return SECRET_KINDS.find((known) => known === kind)
}

function secretOf(secretKind: SecretKind, options: Options): TString {
  return Type.String({ ...options, secretKind })
}
