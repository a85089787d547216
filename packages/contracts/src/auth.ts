import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import { IdParams, Name, Page, Timestamp, pageQuery } from './common.ts'
import { Id } from './ids.ts'
import { defineRoute } from './route.ts'
import { Scope } from './scopes.ts'

/** RFC 6749 section 4.4, as a form or as JSON. The client authenticates with HTTP Basic or with the two fields of the body. */
export const TokenRequest = Type.Object(
  {
    grant_type: Type.Literal('client_credentials'),
    scope: Type.Optional(
      Type.String({ maxLength: 1000, description: 'scopes separated by blanks; all of the client when absent' }),
    ),
    client_id: Type.Optional(Type.String({ maxLength: 100 })),
    client_secret: Type.Optional(Type.String({ maxLength: 200 })),
    instance: Type.Optional(
      Type.String({
        pattern: '^[a-z0-9][a-z0-9-]{0,62}$',
        description: 'name of one process among several that share the client; the subject becomes client/instance',
      }),
    ),
  },
  { $id: 'TokenRequest', additionalProperties: false },
)
export type TokenRequest = Static<typeof TokenRequest>

export const TokenAnswer = Type.Object(
  {
    access_token: Type.String(),
    token_type: Type.Literal('Bearer'),
    expires_in: Type.Integer({ description: 'seconds' }),
    scope: Type.String(),
  },
  { $id: 'TokenAnswer', additionalProperties: false },
)
export type TokenAnswer = Static<typeof TokenAnswer>

/** The claims of an access token, checked after its signature. Times are seconds since 1970. */
export const TokenClaims = Type.Object({
  iss: Type.String({ minLength: 1, maxLength: 200 }),
  aud: Type.String({ minLength: 1, maxLength: 200 }),
  sub: Type.String({ minLength: 1, maxLength: 200, description: 'client id, or client id/instance' }),
  tenant: Id,
  scope: Type.String({ maxLength: 2000 }),
  jti: Id,
  iat: Type.Integer({ minimum: 0, maximum: 99_999_999_999 }),
  exp: Type.Integer({ minimum: 0, maximum: 99_999_999_999 }),
})
export type TokenClaims = Static<typeof TokenClaims>

export const Client = Type.Object(
  {
    id: Id,
    name: Name,
    scopes: Type.Array(Scope),
    createdAt: Timestamp,
    revokedAt: Type.Optional(Timestamp),
  },
  { $id: 'Client', additionalProperties: false },
)
export type Client = Static<typeof Client>

export const CreateClient = Type.Object(
  { name: Name, scopes: Type.Array(Scope, { minItems: 1, uniqueItems: true, maxItems: 32 }) },
  { $id: 'CreateClient', additionalProperties: false },
)
export type CreateClient = Static<typeof CreateClient>

export const ClientWithSecret = Type.Object(
  { ...Client.properties, secret: Type.String({ description: 'shown this once; only its hash is kept' }) },
  { $id: 'ClientWithSecret', additionalProperties: false },
)
export type ClientWithSecret = Static<typeof ClientWithSecret>

export const ClientPage = Page(Client, 'ClientPage')

const gateway = { service: 'gateway', tag: 'auth' } as const

export const issueToken = defineRoute({
  ...gateway,
  operationId: 'issueToken',
  method: 'POST',
  path: '/v1/auth/token',
  summary: 'Exchange client credentials for an access token',
  access: 'public',
  body: TokenRequest,
  consumes: ['application/x-www-form-urlencoded', 'application/json'],
  answers: { 200: TokenAnswer },
})

export const revokeToken = defineRoute({
  ...gateway,
  operationId: 'revokeToken',
  method: 'POST',
  path: '/v1/auth/revoke',
  summary: 'Revoke an access token (RFC 7009); the client that it was issued to authenticates',
  access: 'public',
  body: Type.Object(
    {
      token: Type.String({ maxLength: 8000 }),
      token_type_hint: Type.Optional(Type.String({ maxLength: 50 })),
      client_id: Type.Optional(Type.String({ maxLength: 100 })),
      client_secret: Type.Optional(Type.String({ maxLength: 200 })),
    },
    { $id: 'RevokeRequest', additionalProperties: false },
  ),
  consumes: ['application/x-www-form-urlencoded', 'application/json'],
  answers: { 200: null },
})

export const getJwks = defineRoute({
  ...gateway,
  operationId: 'getJwks',
  method: 'GET',
  path: '/.well-known/jwks.json',
  summary: 'The public keys that access tokens are signed with; empty when a shared secret is used',
  access: 'public',
  answers: {
    200: Type.Object(
      { keys: Type.Array(Type.Record(Type.String(), Type.Unknown())) },
      { $id: 'Jwks', additionalProperties: false },
    ),
  },
})

export const createClient = defineRoute({
  ...gateway,
  operationId: 'createClient',
  method: 'POST',
  path: '/v1/clients',
  summary: 'Create an API client; its scopes are a subset of the caller’s',
  access: ['token:issue'],
  body: CreateClient,
  answers: { 201: ClientWithSecret },
})

export const listClients = defineRoute({
  ...gateway,
  operationId: 'listClients',
  method: 'GET',
  path: '/v1/clients',
  summary: 'List API clients',
  access: ['token:issue'],
  query: Type.Object(pageQuery, { additionalProperties: false }),
  answers: { 200: ClientPage },
})

export const getClient = defineRoute({
  ...gateway,
  operationId: 'getClient',
  method: 'GET',
  path: '/v1/clients/{id}',
  summary: 'Read one API client',
  access: ['token:issue'],
  params: IdParams,
  answers: { 200: Client },
})

export const rotateClient = defineRoute({
  ...gateway,
  operationId: 'rotateClient',
  method: 'POST',
  path: '/v1/clients/{id}:rotate',
  summary: 'Give a client a new secret; the old one stops at once',
  access: ['token:issue'],
  params: IdParams,
  answers: { 200: ClientWithSecret },
})

export const revokeClient = defineRoute({
  ...gateway,
  operationId: 'revokeClient',
  method: 'DELETE',
  path: '/v1/clients/{id}',
  summary: 'Revoke a client and every token that it holds',
  access: ['token:issue'],
  params: IdParams,
  answers: { 204: null },
})
