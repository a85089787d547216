import type { Credentials } from './messages.ts'
import { monotonicMs } from './lease.ts'
import { postJson } from './post-json.ts'

/** Holds an access token of its own and renews it when four fifths of its time are over. */
export class TokenSource {
  readonly #url: string
  readonly #credentials: Credentials
  #token: string | undefined
  #renewAtMs = 0

  constructor(url: string, credentials: Credentials) {
    this.#url = url
    this.#credentials = credentials
  }

  /** @throws when the platform does not give one in time */
  async get(timeoutMs: number): Promise<string> {
    if (this.#token === undefined || monotonicMs() >= this.#renewAtMs) await this.#fetch(timeoutMs)
    if (this.#token === undefined) throw new Error('the platform answered without an access token')
    return this.#token
  }

  /** The token was refused; the next `get` asks for another. */
  drop(): void {
    this.#token = undefined
  }

  async #fetch(timeoutMs: number): Promise<void> {
    const { clientId, clientSecret, instance } = this.#credentials
    const request = {
      grant_type: 'client_credentials',
      client_id: clientId,
      client_secret: clientSecret,
      ...(instance !== undefined && { instance }),
    }
    const { status, body } = await postJson(this.#url, request, { timeoutMs })
    if (status !== 200) throw new Error(`no access token: ${status}`)
    const answer = body as { readonly access_token?: unknown; readonly expires_in?: unknown }
    if (typeof answer.access_token !== 'string' || typeof answer.expires_in !== 'number') return
    this.#token = answer.access_token
    this.#renewAtMs = monotonicMs() + answer.expires_in * 800
  }
}
