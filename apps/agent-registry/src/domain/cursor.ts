const ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** A page goes on below the last id that the page before showed, so agents that come later move nothing. */
export const encodeCursor = (lastId: string): string => Buffer.from(lastId).toString('base64url')

/** Undefined when it is none of ours. */
export function decodeCursor(cursor: string): string | undefined {
  const id = Buffer.from(cursor, 'base64url').toString('latin1')
  return ID.test(id) ? id : undefined
}
