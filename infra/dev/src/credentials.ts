import { AGENT_SCOPES, ROUTES } from '@hypercode/contracts'
import { createClient } from '@hypercode/client'
import { CREDENTIALS_FILE } from './checkout.ts'
import { readJsonFile, writePrivateFile } from './private-file.ts'

export interface ClientCredentials {
  readonly clientId: string
  readonly clientSecret: string
}

/** The API clients of the local platform: the first one, which may do everything, and the one of the agents. */
export interface LocalCredentials {
  readonly bootstrap: ClientCredentials
  readonly agents?: ClientCredentials
}

/** What the last start wrote; undefined when there was none. */
export function readCredentials(): LocalCredentials | undefined {
  const value = readJsonFile(CREDENTIALS_FILE)
  if (typeof value !== 'object' || value === null) return undefined
  const { bootstrap, agents } = value as Record<string, unknown>
  if (!isCredentials(bootstrap)) return undefined
  return isCredentials(agents) ? { bootstrap, agents } : { bootstrap }
}

export function writeCredentials(credentials: LocalCredentials): void {
  writePrivateFile(CREDENTIALS_FILE, `${JSON.stringify(credentials, null, 2)}\n`)
}

/**
 * The API client of the agents: the given one, the one of the last start when the gateway still knows it, or a new one
 * with the scopes that an agent needs and no more.
 */
export async function ensureAgentClient(
  gatewayUrl: string,
  bootstrap: ClientCredentials,
  given: ClientCredentials | undefined,
): Promise<ClientCredentials> {
  const known = given ?? readCredentials()?.agents
  if (known !== undefined && (given !== undefined || (await canLogIn(gatewayUrl, known)))) return known
  const client = createClient({ baseUrl: gatewayUrl, credentials: bootstrap })
  try {
    const name = `local-agents-${Date.now().toString(36)}`
    const { body } = await client.call(ROUTES.createClient, { body: { name, scopes: [...AGENT_SCOPES] } })
    return { clientId: body.id, clientSecret: body.secret }
  } finally {
    await client.close()
  }
}

async function canLogIn(gatewayUrl: string, { clientId, clientSecret }: ClientCredentials): Promise<boolean> {
  const response = await requestToken(gatewayUrl, { clientId, clientSecret })
  await response.body?.cancel()
  return response.ok
}

/** `POST /v1/auth/token` as RFC 6749 has it: client credentials, by HTTP Basic. */
export async function requestToken(
  gatewayUrl: string,
  { clientId, clientSecret }: ClientCredentials,
  scope?: string,
): Promise<Response> {
  const form = new URLSearchParams({ grant_type: 'client_credentials', ...(scope === undefined ? {} : { scope }) })
  const basic = Buffer.from(`${encodeURIComponent(clientId)}:${encodeURIComponent(clientSecret)}`).toString('base64')
  return await fetch(new URL('/v1/auth/token', gatewayUrl), {
    method: 'POST',
    headers: { authorization: `Basic ${basic}`, 'content-type': 'application/x-www-form-urlencoded' },
    body: form.toString(),
    signal: AbortSignal.timeout(10_000),
  })
}

function isCredentials(value: unknown): value is ClientCredentials {
  if (typeof value !== 'object' || value === null) return false
  const { clientId, clientSecret } = value as Record<string, unknown>
  return typeof clientId === 'string' && typeof clientSecret === 'string'
}
