/** What Postgres, or the way to it, answers instead of rows; `code` is a SQLSTATE. */
export class DatabaseError extends Error {
  override readonly name = 'DatabaseError'
  readonly code: string
  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

export const lost = (): DatabaseError => new DatabaseError('08006', 'Connection terminated unexpectedly')
