import { Readable } from 'node:stream'
import type { AppError } from '@hypercode/http'
import type { FastifyReply } from 'fastify'
import type { Dispatcher } from 'undici'
import { answerHeaders } from './headers.ts'
import { upstreamError } from './upstream-error.ts'

/** Answers up to here are gathered and sent in one piece, which costs less than a stream. */
const GATHERED_MAX_BYTES = 65_536

/** Who left is told nothing, but something has to be the reason. */
const GONE = new Error('the caller hung up')

/**
 * One request on its way to a service and its answer on the way back.
 *
 * X1 The caller gets exactly one answer: the service's as it is, or a problem of ours.
 * X2 When the caller hangs up, the service is told at once: a claim that nobody waits for any more must not lease a task.
 * X3 Bytes wait here only up to a bound; a slow caller slows the service down.
 */
export class Exchange implements Dispatcher.DispatchHandler {
  readonly #service: string
  readonly #reply: FastifyReply
  readonly #onSettled: () => void
  #controller: Dispatcher.DispatchController | undefined
  #gathered: Buffer[] | undefined
  #stream: Readable | undefined
  #gone = false
  #settled = false

  /** `onSettled` is called once, when the service is done with the request, one way or the other. */
  constructor(service: string, reply: FastifyReply, onSettled: () => void) {
    this.#service = service
    this.#reply = reply
    this.#onSettled = onSettled
    reply.raw.once('close', () => this.#hangUp())
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#gone) controller.abort(GONE)
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: Parameters<NonNullable<Dispatcher.DispatchHandler['onResponseStart']>>[2],
  ): void {
    const reply = this.#reply
    if (status < 200 || this.#gone || reply.sent) return
    reply.code(status)
    answerHeaders(reply, headers)
    // Unread bytes of this request would be taken for the next one.
    if (!reply.request.raw.complete) reply.header('connection', 'close')
    const length = headers['content-length']
    if (reply.request.method === 'HEAD' || (length !== undefined && Number(length) <= GATHERED_MAX_BYTES)) {
      this.#gathered = []
    } else {
      this.#stream = new Readable({ read: () => controller.resume() })
      reply.send(this.#stream)
    }
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#gathered !== undefined) this.#gathered.push(chunk)
    else if (this.#stream?.push(chunk) === false) controller.pause()
  }

  onResponseEnd(): void {
    this.#settle()
    const [first, ...more] = this.#gathered ?? []
    if (this.#stream !== undefined) this.#stream.push(null)
    else if (this.#gone || this.#gathered === undefined || this.#reply.sent) return
    else if (first === undefined) this.#reply.send()
    else this.#reply.send(more.length === 0 ? first : Buffer.concat([first, ...more]))
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#settle()
    if (this.#gone) return
    // Half an answer can only be cut off, so that it is not taken for a whole one.
    if (this.#stream !== undefined) this.#stream.destroy(error)
    else if (!this.#reply.sent) this.#reply.send(upstreamError(this.#service, error))
  }

  /** Answers `error` instead of waiting on, unless the service has begun to answer. */
  interrupt(error: AppError): void {
    if (this.#settled || this.#gone || this.#gathered !== undefined || this.#stream !== undefined) return
    this.#gone = true
    this.#controller?.abort(error)
    if (!this.#reply.sent) this.#reply.send(error)
  }

  #hangUp(): void {
    if (this.#settled) return
    this.#gone = true
    this.#controller?.abort(GONE)
  }

  #settle(): void {
    if (this.#settled) return
    this.#settled = true
    this.#onSettled()
  }
}
