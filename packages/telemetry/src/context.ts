import { AsyncLocalStorage } from 'node:async_hooks'

/** What the work at hand belongs to. It rides along with every await, onto every log line and every call that leaves. */
export type LogContext = Readonly<{
  correlationId?: string
  tenantId?: string
  missionId?: string
  taskId?: string
  attempt?: number
  /** W3C trace context of this work; its trace id is on the log lines. */
  traceparent?: string
}>

/** Runs `fn`, and all that it starts, with these fields on top of the current context. */
export function withContext<T>(fields: LogContext, fn: () => T): T {
  return storage.run(Object.freeze({ ...storage.getStore(), ...fields }), fn)
}

/** Runs `fn`, and all that it starts, with exactly this context: for work that was queued under another one. */
export function runWithContext<T>(context: LogContext, fn: () => T): T {
  return storage.run(Object.freeze({ ...context }), fn)
}

/** The context of the work at hand, empty outside of any. */
export function currentContext(): LogContext {
  return storage.getStore() ?? EMPTY
}

const storage = new AsyncLocalStorage<LogContext>()
const EMPTY: LogContext = Object.freeze({})
