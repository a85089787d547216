/** Something the person who called us can put right; its message says it in one line, and it needs no stack trace. */
export class UserError extends Error {
  override readonly name = 'UserError'
  readonly exitCode: number

  constructor(message: string, exitCode: number) {
    super(message)
    this.exitCode = exitCode
  }
}

/** The arguments are wrong, or what the command needs is not there. */
export const EXIT_USAGE = 2
