import { AppError } from './app-error.ts'

/** Rows of a list that was read one element too far: the last one tells only that there is a next page. */
interface ReadRows<T> {
  readonly rows: readonly T[]
  /** There were more, which would have made the page too large. */
  readonly cut: boolean
}

/** The page of a list, with a cursor when there is a next one. */
export function pageOf<T>(
  { rows, cut }: ReadRows<T>,
  limit: number,
  cursorOf: (last: T) => string,
): { items: T[]; nextCursor?: string } {
  const items = rows.slice(0, limit)
  const last = items.at(-1)
  return (cut || rows.length > limit) && last !== undefined ? { items, nextCursor: cursorOf(last) } : { items }
}

/** Lists whose cursor is an id refuse anything else. */
export function checkIdCursor(cursor: string | undefined): void {
  if (cursor !== undefined && !/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(cursor)) throw badCursor()
}

export const badCursor = (): AppError =>
  new AppError('request_invalid', {
    faults: [
      { pointer: '/cursor', message: 'is not a cursor of this list', fix: 'Use nextCursor of the page before.' },
    ],
  })
