import { Transform } from 'node:stream'
import type { TransformCallback } from 'node:stream'
import type { IncomingMessage } from 'node:http'
import { AppError } from '@hypercode/http'
import type { ServiceApp } from '@hypercode/http'

/** Bodies up to here are gathered, which costs less than a stream; larger ones, and those of unknown length, flow through. */
const GATHERED_MAX_BYTES = 65_536

/** A body on its way to the service behind, unread: bytes, or a stream with the length it was announced with. */
export type RequestBody = Buffer | LimitedBody | null

/** Makes the routes of `scope` take bodies of any type, unparsed, within the limit of their route. */
export function passBodies(scope: ServiceApp): void {
  scope.removeAllContentTypeParsers()
  scope.addContentTypeParser('*', (request, payload: IncomingMessage, done) => {
    const limit = request.routeOptions.bodyLimit
    const announced = request.headers['content-length']
    const length = announced === undefined ? undefined : Number(announced)
    if (length !== undefined && length > limit) done(tooLarge(limit))
    else if (length === undefined || length > GATHERED_MAX_BYTES) done(null, new LimitedBody(payload, limit, length))
    else gather(payload, length, done)
  })
}

/** Node sees to it that a body is as long as its Content-Length says. */
function gather(payload: IncomingMessage, length: number, done: (error: Error | null, body?: Buffer) => void): void {
  const chunks: Buffer[] = []
  const onClose = (): void => done(new AppError('request_invalid', { detail: 'The body broke off.' }))
  payload.on('data', (chunk: Buffer) => chunks.push(chunk))
  payload.once('end', () => {
    payload.removeListener('close', onClose)
    done(null, chunks.length === 1 ? chunks[0] : Buffer.concat(chunks, length))
  })
  payload.once('close', onClose)
}

/** Passes a body on as it comes and refuses it as soon as it is longer than allowed. */
export class LimitedBody extends Transform {
  readonly length: number | undefined
  readonly #limit: number
  #seen = 0

  constructor(source: IncomingMessage, limit: number, length: number | undefined) {
    super()
    this.#limit = limit
    this.length = length
    // Whoever sends the body on hears of it as well; unheard it would end the process.
    this.on('error', () => source.unpipe(this))
    source.pipe(this)
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#seen += chunk.length
    if (this.#seen > this.#limit) done(tooLarge(this.#limit))
    else done(null, chunk)
  }
}

const tooLarge = (limit: number): AppError =>
  new AppError('body_too_large', { detail: `The body has more than ${limit} bytes.`, headers: { connection: 'close' } })
