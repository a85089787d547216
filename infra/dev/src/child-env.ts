import type { Env } from './local-env.ts'

/** What nobody gets who does not need it. */
const SECRETS = [
  'JWT_SECRET',
  'JWT_PRIVATE_KEY',
  'JWT_PREVIOUS_PUBLIC_KEY',
  'BOOTSTRAP_CLIENT_SECRET',
  'HYPERCODE_CLIENT_SECRET',
  'GYM_SECRET',
  'FACTORY_SECRET',
  'OPENAI_API_KEY',
  'DATABASE_URL',
  'DATABASE_DIRECT_URL',
  'REDIS_URL',
] as const
export type SecretName = (typeof SECRETS)[number]

/**
 * The environment of one process: all that is no secret, those of the secrets that it needs (or the files that hold
 * them), and what is set for it. An agent, for instance, must not see how to reach a database.
 */
export function childEnv(env: Env, needed: readonly SecretName[], changes: Env): Record<string, string> {
  const withheld = new Set<string>(
    SECRETS.filter((name) => !needed.includes(name)).flatMap((name) => [name, `${name}_FILE`]),
  )
  // A value that is set for the process takes the place of the file that the person named for it.
  for (const name of Object.keys(changes)) withheld.add(`${name}_FILE`)
  const all = { ...env, ...changes }
  const kept = Object.entries(all).filter(
    (entry): entry is [string, string] =>
      entry[1] !== undefined && !withheld.has(entry[0]) && !entry[0].startsWith('npm_'),
  )
  return Object.fromEntries(kept)
}
