/** A set-up problem that a person can act on; its message is complete and needs no stack trace. */
export class StackError extends Error {
  override readonly name = 'StackError'
}

/** The servers are neither installed nor fetchable; the message holds the exact commands that install them. */
export class MissingServersError extends Error {
  override readonly name = 'MissingServersError'
}

/** Another living process owns the folder. */
export class FolderInUseError extends Error {
  override readonly name = 'FolderInUseError'
  readonly ownerPid: number | undefined
  constructor(message: string, ownerPid: number | undefined) {
    super(message)
    this.ownerPid = ownerPid
  }
}

/** `catch` gives unknown; this gives the text of it. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** The `code` of a system error (`ENOENT`, `ESRCH`, ...), when it has one. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
