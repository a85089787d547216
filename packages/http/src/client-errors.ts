import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { newId } from '@hypercode/contracts'
import { AppError } from './app-error.ts'
import { problemHeaders, problemOf } from './problem.ts'

/** What Node keeps on a socket about the answer that is under way. */
type HttpSocket = Socket & { readonly _httpMessage?: { readonly headersSent: boolean } | null }

/** Answers what never became a request: headers that are too large, bytes that are not HTTP, requests that do not arrive in time. */
export function answerClientError(error: Error & { code?: string }, socket: HttpSocket): void {
  const waiting = socket._httpMessage?.headersSent === false
  // After an answer, or in the middle of one, more bytes would be taken for the answer to another request.
  if (error.code === 'ECONNRESET' || !socket.writable || (socket.bytesWritten > 0 && !waiting)) {
    socket.destroy()
    return
  }
  const problem = translate(error.code)
  const correlationId = newId()
  const body = JSON.stringify(problemOf(problem, correlationId))
  const headers = {
    ...problemHeaders(problem),
    'content-length': String(Buffer.byteLength(body)),
    'x-correlation-id': correlationId,
    connection: 'close',
  }
  const head = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.end(`HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}\r\n${head.join('')}\r\n${body}`)
  socket.destroySoon()
}

function translate(code: string | undefined): AppError {
  if (code === 'HPE_HEADER_OVERFLOW') return new AppError('headers_too_large')
  if (code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW') return new AppError('body_too_large')
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return new AppError('request_timeout')
  return new AppError('request_invalid', { detail: 'The request is not valid HTTP.' })
}
