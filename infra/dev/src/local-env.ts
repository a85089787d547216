import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { parseEnv } from 'node:util'
import { generateSecret, renderEnv } from '@hypercode/config'

export type Env = Readonly<Record<string, string | undefined>>

/** Variables of which one excludes the others; whoever sets one of them decides for the whole group. */
const GROUPS: readonly (readonly string[])[] = [['JWT_SECRET', 'JWT_PRIVATE_KEY']]

/** Set by `npm start` itself unless somebody sets them: private servers, and a client that it makes for its agents. */
const LEFT_EMPTY = [
  'DATABASE_URL',
  'DATABASE_DIRECT_URL',
  'REDIS_URL',
  'HYPERCODE_CLIENT_ID',
  'HYPERCODE_CLIENT_SECRET',
] as const

/** Secrets that are made here, each its own. */
const FRESH = ['JWT_SECRET', 'BOOTSTRAP_CLIENT_SECRET', 'GYM_SECRET', 'FACTORY_SECRET'] as const

/**
 * Makes `<root>/.env` (mode 0600) out of `.env.example` with fresh secrets; one that is there is given those that it does not name, as after
 * an upgrade that needs one more. Answers what was done, in words, or undefined.
 */
export function ensureEnvFile(root: string, environment: Env = {}): string | undefined {
  const file = path.join(root, '.env')
  if (existsSync(file)) return completeEnvFile(file, environment)
  const example = readFileSync(path.join(root, '.env.example'), 'utf8')
  const text = renderEnv(example, {
    ...Object.fromEntries(FRESH.map((name) => [name, generateSecret()])),
    ...Object.fromEntries(LEFT_EMPTY.map((name) => [name, ''])),
  })
  writeFileSync(file, text, { mode: 0o600, flag: 'wx' })
  return 'made .env with fresh secrets'
}

function completeEnvFile(file: string, environment: Env): string | undefined {
  const known = { ...parseEnv(readFileSync(file, 'utf8')), ...environment }
  const missing = FRESH.filter(
    (name) => !isOneOfSeveral(name) && known[name] === undefined && known[`${name}_FILE`] === undefined,
  )
  if (missing.length === 0) return undefined
  appendFileSync(file, missing.map((name) => `\n${name}=${generateSecret()}\n`).join(''))
  return `added a fresh ${missing.join(', ')} to .env`
}

const isOneOfSeveral = (name: string): boolean => GROUPS.some((group) => group.includes(name))

/** `<root>/.env` with the environment over it. */
export function readLocalEnv(root: string, environment: Env): Env {
  return mergeEnv(parseEnv(readFileSync(path.join(root, '.env'), 'utf8')), environment)
}

/**
 * The variables of the file with those of the environment over them. A variable of the environment also takes the place of
 * what would contradict it: `NAME_FILE` that of `NAME`, and one of a group that of the others.
 */
export function mergeEnv(file: Env, environment: Env): Env {
  const isGiven = (name: string): boolean => isSet(environment[name]) || isSet(environment[`${name}_FILE`])
  const overruled = new Set(
    Object.keys(file).filter((name) => {
      const plain = name.replace(/_FILE$/, '')
      const group = GROUPS.find((members) => members.includes(plain)) ?? [plain]
      return group.some((member) => isGiven(member))
    }),
  )
  const kept = Object.entries(file).filter(([name]) => !overruled.has(name))
  return { ...Object.fromEntries(kept), ...environment }
}

function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== ''
}
