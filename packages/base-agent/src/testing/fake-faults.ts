import { once } from 'node:events'
import { ROUTES, routerPath } from '@hypercode/contracts'
import type { ErrorCode, OperationId, Route } from '@hypercode/contracts'
import { AppError } from '@hypercode/http'
import type { ServiceApp } from '@hypercode/http'

export interface Received {
  readonly operationId: OperationId
  readonly body: unknown
  readonly headers: Readonly<Record<string, unknown>>
  readonly atMs: number
}

/** What goes wrong on the way, and what has come in. */
export class FakeFaults {
  readonly received: Received[] = []
  readonly #cuts = new Map<OperationId, number>()
  readonly #stalls = new Map<OperationId, number>()
  readonly #refusals = new Map<OperationId, { readonly code: ErrorCode; times: number }>()
  away = false

  cut(operationId: OperationId, times: number): void {
    this.#cuts.set(operationId, times)
  }

  stall(operationId: OperationId, times: number): void {
    this.#stalls.set(operationId, times)
  }

  refuse(operationId: OperationId, code: ErrorCode, times: number): void {
    this.#refusals.set(operationId, { code, times })
  }

  install(app: ServiceApp): void {
    app.addHook('preHandler', async (request) => {
      const operationId = operationOf(request.method, request.routeOptions.url)
      if (operationId === undefined) return
      if (this.away) {
        request.raw.socket.destroy()
        throw new AppError('unavailable')
      }
      this.received.push({ operationId, body: request.body, headers: request.headers, atMs: performance.now() })
      const refusal = this.#refusals.get(operationId)
      if (refusal === undefined || refusal.times <= 0) return
      refusal.times -= 1
      throw new AppError(refusal.code)
    })
    app.addHook('onSend', async (request, reply, payload) => {
      const operationId = operationOf(request.method, request.routeOptions.url)
      if (operationId === undefined || reply.statusCode >= 400) return payload
      const { socket } = request.raw
      if (take(this.#stalls, operationId)) await once(socket, 'close')
      else if (take(this.#cuts, operationId)) socket.destroy()
      return payload
    })
  }
}

function take(counts: Map<OperationId, number>, operationId: OperationId): boolean {
  const left = counts.get(operationId) ?? 0
  if (left > 0) counts.set(operationId, left - 1)
  return left > 0
}

const OPERATIONS = new Map(
  Object.entries<Route>(ROUTES).map(([id, { method, path }]) => [`${method} ${routerPath(path)}`, id as OperationId]),
)

const operationOf = (method: string, url: string | undefined): OperationId | undefined =>
  OPERATIONS.get(`${method} ${url ?? ''}`)
