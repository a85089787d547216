import type { ColumnType } from 'kysely'

/** jsonb that may hold any JSON value; written as text so that arrays do not turn into Postgres arrays. */
export type Jsonb = ColumnType<unknown, string | null, string | null>
export type Instant = ColumnType<Date, Date | string, Date | string>
export type SetOnce = ColumnType<Date, Date | string | undefined, never>
