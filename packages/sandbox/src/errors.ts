/** The sandbox cannot be set up (any more). Callers refuse the command: there is no other way of running it. */
export class SandboxUnavailable extends Error {
  override readonly name = 'SandboxUnavailable'
}

/** The `code` of a system error (`ENOENT`, `EACCES`, ...), when it has one. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
