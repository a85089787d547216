/** One line of the tables: a system, or one of the ways in which it is commonly set up. */
export interface Entry {
  readonly id: string
  readonly label: string
  /** Beside this file; what needs packages of others is in `peers`. */
  readonly file: string
  readonly variant: string
  /** The package whose version is told; none for ourselves. */
  readonly packageName: string | undefined
  /** When a result counts as stored. */
  readonly durability: string
}

const FSYNC = 'Postgres, fsync and synchronous_commit on'

const entry = (id: string, label: string, packageName: string | undefined, durability: string): Entry => {
  const [file = '', variant = ''] = id.split(':')
  const folder = packageName === undefined ? '.' : './peers'
  return { id, label, file: `${folder}/${file}.ts`, variant, packageName, durability }
}

export const OURS = 'hypercode'
export const BULLMQ = ['bullmq:everysec', 'bullmq:always'] as const

export const ENTRIES: readonly Entry[] = [
  entry(OURS, 'HyperCode, over HTTP', undefined, FSYNC),
  entry(
    BULLMQ[0],
    'BullMQ, appendfsync everysec',
    'bullmq',
    'Redis AOF, fsync once a second: the last second may be lost',
  ),
  entry(BULLMQ[1], 'BullMQ, appendfsync always', 'bullmq', 'Redis AOF, fsync before every answer'),
  entry('graphile-worker', 'graphile-worker', 'graphile-worker', FSYNC),
  entry('pg-boss', 'pg-boss', 'pg-boss', FSYNC),
  entry('dbos', 'DBOS', '@dbos-inc/dbos-sdk', FSYNC),
  entry('restate', 'Restate', '@restatedev/restate-server', 'its own log on disk, fsync on'),
]
