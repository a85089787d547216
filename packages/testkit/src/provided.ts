/** What the process that runs vitest hands to its test processes. */
export interface RunAddress {
  /** Starts the servers of the run when they are first asked for, and answers where they are. */
  readonly url: string
  readonly token: string
  /** Made for this run and used by nothing else. */
  readonly jwtSecret: string
}

/** The servers of the run, and the database that every test clones. */
export interface RunServers {
  /** Straight to Postgres, as the owner. */
  readonly directUrl: string
  /** Through PgBouncer, as the role of the services. */
  readonly pooledUrl: string
  readonly pgbouncerAdminUrl: string
  readonly redisUrl: string
  /** Name of the migrated database; nobody can connect to it. */
  readonly template: string
}

declare module 'vitest' {
  interface ProvidedContext {
    hypercodeRun: RunAddress
  }
}
