import { newId } from '@hypercode/contracts'

/** The correlation id that a caller sent, when it is 1 to 128 letters, digits, dots, dashes and underscores; else a new one. */
export function correlationIdOf(header: string | readonly string[] | undefined): string {
  return typeof header === 'string' && CORRELATION_ID.test(header) ? header : newId()
}

const CORRELATION_ID = /^[A-Za-z0-9._-]{1,128}$/
