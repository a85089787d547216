import { isUtf8 } from 'node:buffer'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { AppError } from './app-error.ts'
import { parseFormBody } from './form-body.ts'
import { isStorableText, parseJsonBody } from './json-body.ts'

const JSON_TYPE = 'application/json'
const FORM_TYPE = 'application/x-www-form-urlencoded'

/** How the bodies of a route reach its handler. */
export type BodyForm = 'parsed' | 'text' | 'bytes'

/**
 * JSON is the only body that a route takes unless it says otherwise; everything else is 415. There is one schema per route, never
 * one per content type, so no spelling of the content type leads around it.
 */
export const bodyParsing = fp(
  async (app) => {
    app.removeAllContentTypeParsers()
    addParser(app, JSON_TYPE, parseJsonBody)
    // A NUL in a path or a query string would reach Postgres as text that it refuses.
    app.addHook('onRequest', (request, _reply, done) => {
      done(
        request.raw.url?.includes('%00') === true
          ? new AppError('text_invalid', { detail: 'The URL holds %00.' })
          : undefined,
      )
    })
  },
  { name: 'body-parsing', fastify: '5.x' },
)

/** Makes `scope` take exactly these media types: JSON and forms parsed, other text as a string, the rest as bytes. */
export function acceptOnly(scope: FastifyInstance, mediaTypes: readonly string[], form: BodyForm): void {
  scope.removeAllContentTypeParsers()
  for (const mediaType of mediaTypes) {
    const name = mediaType === '*/*' ? '*' : mediaType
    addParser(scope, name, parserOf(mediaType, form))
  }
}

function parserOf(mediaType: string, form: BodyForm): (bytes: Buffer) => unknown {
  if (form === 'bytes') return (bytes) => bytes
  if (form === 'text') return parseText
  if (mediaType === JSON_TYPE) return parseJsonBody
  if (mediaType === FORM_TYPE) return parseFormBody
  return isTextual(mediaType) ? parseText : (bytes) => bytes
}

/** Media types that reach a handler as a string. */
export const isTextual = (mediaType: string): boolean =>
  mediaType.startsWith('text/') || mediaType === 'application/yaml'

function parseText(bytes: Buffer): string {
  if (!isUtf8(bytes)) throw new AppError('request_invalid', { detail: 'The body is not valid UTF-8.' })
  const text = bytes.toString('utf8')
  if (!isStorableText(text)) throw new AppError('text_invalid')
  return text
}

function addParser(app: FastifyInstance, name: string, parse: (bytes: Buffer) => unknown): void {
  app.addContentTypeParser<Buffer>(name, { parseAs: 'buffer' }, (_request, bytes, done) => {
    let body: unknown
    try {
      body = parse(bytes)
    } catch (error) {
      done(error as Error)
      return
    }
    done(null, body)
  })
}
