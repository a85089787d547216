import type { Rule } from '../rule.ts'

export const NO_POOL_LIMIT: Rule = {
  kind: 'database-pooling',
  id: 'pool-without-limit',
  title: 'A database client has no explicit pool limit',
  priority: 'P1',
  confidence: 'high',
  impact:
    'Every process opens as many connections as the library likes; with many replicas or agents the database runs out of them and refuses everybody.',
  recommendation:
    'Set the size of the pool explicitly, from an environment variable, and keep the sum over all processes below what the database or PgBouncer allows.',
}

export const CONNECTION_PER_CALL: Rule = {
  kind: 'database-pooling',
  id: 'connection-per-call',
  title: 'A database connection is opened inside a function',
  priority: 'P1',
  confidence: 'high',
  impact:
    'Each call pays for a new connection, and load turns directly into connections until the database refuses more.',
  recommendation: 'Open one bounded pool when the process starts and borrow connections from it.',
}
