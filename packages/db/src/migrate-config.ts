import { PostgresUrl, Secret } from '@hypercode/config'
import { Id } from '@hypercode/contracts'
import { Type } from '@sinclair/typebox'

/** What `hypercode-migrate` reads. The user of DATABASE_URL is the role that gets the services' rights. */
export const MigrateConfig = Type.Object({
  DATABASE_DIRECT_URL: PostgresUrl(),
  DATABASE_URL: PostgresUrl(),
  BOOTSTRAP_CLIENT_ID: Type.Unsafe<Id>({ ...Id, default: '00000000-0000-7000-8000-000000000001' }),
  BOOTSTRAP_CLIENT_SECRET: Secret(),
})
