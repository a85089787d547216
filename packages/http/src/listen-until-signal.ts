import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '@hypercode/telemetry'
import closeWithGrace from 'close-with-grace'
import type { ServiceApp } from './service-app.ts'

export interface ListenOptions {
  readonly host: string
  /** 0 takes a free port. */
  readonly port: number
  /** Longest wait for requests in flight, and for `onDrain`. */
  readonly drainMs: number
  readonly log: Logger
  /** When the drain begins, beside the wait for requests: stop loops, stop taking work. */
  readonly onDrain?: () => Promise<void> | void
  /** After the last connection is closed: close Redis, then Postgres. */
  readonly onClosed?: () => Promise<void> | void
}

/** Time that closing may take after the drain before the process gives up. */
const CLOSE_MS = 5000
const POLL_MS = 10

/**
 * Listens until SIGTERM or SIGINT. Then /readyz turns red and new requests get 503 at once, requests in flight have `drainMs`,
 * the server closes, and the process exits with 0. A second signal exits at once with 1, as does an uncaught error after closing.
 * Resolves with the address when the server listens.
 */
export async function listenUntilSignal(app: ServiceApp, options: ListenOptions): Promise<string> {
  const { host, port, drainMs, log } = options
  const close = async ({ signal, err }: { signal?: string; err?: Error }): Promise<void> => {
    if (err === undefined) log.info({ signal, inFlight: app.requestsInFlight() }, 'draining')
    else log.fatal({ err }, 'uncaught error, closing')
    app.beginDrain()
    // After an uncaught error nothing in this process can be trusted, so it does not go on working.
    if (err === undefined) await drained(app, options)
    const cut = app.requestsInFlight()
    await app.close()
    await options.onClosed?.()
    log.info({ signal, cut }, 'closed')
  }
  const graceful = closeWithGrace({ delay: drainMs + CLOSE_MS, logger: graceLogger(log) }, close)
  app.addHook('onClose', async () => graceful.uninstall())
  return await app.listen({ host, port })
}

/** Resolves when nothing is in flight and `onDrain` is through, or when `drainMs` are over. */
async function drained(app: ServiceApp, { onDrain, drainMs, log }: ListenOptions): Promise<void> {
  const until = performance.now() + drainMs
  let open = true
  const work = async (): Promise<void> => {
    try {
      await onDrain?.()
    } catch (err) {
      log.error({ err }, 'drain failed, closing all the same')
    }
    open = false
  }
  const waiting = work()
  while ((open || app.requestsInFlight() > 0) && performance.now() < until) await sleep(POLL_MS)
  if (!open) await waiting
}

function graceLogger(log: Logger): { error: (message?: unknown) => void } {
  return { error: (message) => log.error(message instanceof Error ? { err: message } : { message }, 'closing') }
}
