import { ROUTES } from '@hypercode/contracts'
import type { TokenAnswer, TokenRequest } from '@hypercode/contracts'
import { withRetries } from './retries.ts'
import type { RetryOptions } from './retries.ts'
import { apiErrorOf } from './transport.ts'
import type { Transport } from './transport.ts'

export interface ClientCredentials {
  readonly clientId: string
  readonly clientSecret: string
  /** Scopes separated by blanks; all of the client when absent. */
  readonly scope?: string | undefined
  /** Name of this process among several that share the client. */
  readonly instance?: string | undefined
}

/** Where the token of a call comes from. */
export interface TokenSource {
  readonly get: () => Promise<string | undefined>
  /** Forgets the token that was refused. False when asking again would give the same one. */
  readonly refused: (token: string | undefined) => boolean
}

/** A token that the caller looks after. */
export function givenToken(token: string | (() => Promise<string>) | undefined): TokenSource {
  const get = typeof token === 'function' ? token : () => Promise.resolve(token)
  return { get, refused: () => typeof token === 'function' }
}

/** Renewed when less than this share of its life is left, at most a minute. */
const RENEW_SHARE = 0.2
const RENEW_MAX_MS = 60_000

/** Fetches a token at first use and renews it before it expires. However many calls wait, one request is under way. */
export function fetchedToken(
  transport: Transport,
  credentials: ClientCredentials,
  settings: RetryOptions | undefined,
): TokenSource {
  let held: { token: string; renewAt: number; expiresAt: number } | undefined
  let fetching: Promise<string> | undefined

  const fetch = async (): Promise<string> => {
    const answer = await fetchToken(transport, credentials, settings)
    const now = performance.now()
    const lifeMs = answer.expires_in * 1000
    held = {
      token: answer.access_token,
      renewAt: now + lifeMs - Math.min(RENEW_MAX_MS, lifeMs * RENEW_SHARE),
      expiresAt: now + lifeMs,
    }
    return held.token
  }

  return {
    async get() {
      const now = performance.now()
      if (held !== undefined && now < held.renewAt) return held.token
      fetching ??= fetch().finally(() => (fetching = undefined))
      try {
        return await fetching
      } catch (error) {
        // The old one is still good for a while, and the next call tries again.
        if (held !== undefined && performance.now() < held.expiresAt) return held.token
        throw error
      }
    },
    refused(token) {
      if (held?.token === token) held = undefined
      return true
    },
  }
}

async function fetchToken(
  transport: Transport,
  credentials: ClientCredentials,
  settings: RetryOptions | undefined,
): Promise<TokenAnswer> {
  const { clientId, clientSecret, scope, instance } = credentials
  const body: TokenRequest = {
    grant_type: 'client_credentials',
    client_id: clientId,
    client_secret: clientSecret,
    ...(scope !== undefined && { scope }),
    ...(instance !== undefined && { instance }),
  }
  const route = ROUTES.issueToken
  return await withRetries(route, {}, settings ?? {}, [transport.closed], async () => {
    const answer = await transport.fetch(route, { body }, undefined)
    const error = apiErrorOf(route, answer)
    if (error !== undefined) throw error
    return JSON.parse(answer.body.toString('utf8')) as TokenAnswer
  })
}
