import { AppError } from '@hypercode/http'

export interface ClientCredentials {
  readonly clientId: string
  readonly secret: string
}

interface BodyCredentials {
  readonly client_id?: string
  readonly client_secret?: string
}

/**
 * How a client shows who it is (RFC 6749, 2.3.1): by HTTP Basic, or by two fields of the body, never by both. Throws client_invalid
 * without credentials and request_invalid for two sets of them.
 */
export function clientCredentials(authorization: string | undefined, body: BodyCredentials): ClientCredentials {
  const bodyId = body.client_id === '' ? undefined : body.client_id
  const bodySecret = body.client_secret === '' ? undefined : body.client_secret
  if (authorization === undefined) {
    if (bodyId === undefined || bodySecret === undefined)
      throw clientInvalid('The request carries no client credentials.')
    return { clientId: bodyId, secret: bodySecret }
  }
  const basic = basicCredentials(authorization)
  if (basic === undefined) throw clientInvalid('The Authorization header does not hold Basic credentials.')
  if (bodySecret !== undefined || (bodyId !== undefined && bodyId !== basic.clientId)) {
    throw new AppError('request_invalid', { detail: 'The client shows credentials in the header and in the body.' })
  }
  return basic
}

/** Unknown client, wrong secret and revoked client must not be told apart. */
export const clientInvalid = (detail?: string): AppError =>
  new AppError('client_invalid', {
    detail,
    headers: { 'www-authenticate': 'Basic realm="hypercode", charset="UTF-8"' },
  })

function basicCredentials(header: string): ClientCredentials | undefined {
  const encoded = /^Basic +([A-Za-z0-9+/_-]+={0,2})$/i.exec(header)?.[1]
  if (encoded === undefined) return undefined
  const text = Buffer.from(encoded, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  if (colon < 1) return undefined
  const clientId = formDecoded(text.slice(0, colon))
  const secret = formDecoded(text.slice(colon + 1))
  if (clientId === undefined || secret === undefined || secret === '') return undefined
  return { clientId, secret }
}

function formDecoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return undefined // a percent sign that begins no escape
  }
}
