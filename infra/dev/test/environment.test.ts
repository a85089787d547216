import { copyFileSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { parseEnv } from 'node:util'
import { ConfigError } from '@hypercode/config'
import { describe, expect, test } from 'vitest'
import { childEnv } from '../src/child-env.ts'
import { ROOT, serverFolders } from '../src/checkout.ts'
import { ensureEnvFile, mergeEnv, readLocalEnv } from '../src/local-env.ts'
import { ownEnv } from '../src/own-env.ts'
import { agentEnv, serviceEnv } from '../src/service-env.ts'
import { readSettings } from '../src/settings.ts'
import { temporaryFolder } from './temporary-folder.ts'

/** A folder with the real `.env.example` and the `.env` that is made out of it. */
function checkout(): string {
  const root = temporaryFolder()
  copyFileSync(path.join(ROOT, '.env.example'), path.join(root, '.env.example'))
  ensureEnvFile(root)
  return root
}

const problemsOf = (root: string, environment: Record<string, string>): string[] => {
  try {
    readSettings(root, readLocalEnv(root, environment))
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map(({ variable }) => variable)
    throw error
  }
}

// Goal: a fresh checkout gets secrets of its own, and the validator judges what really counts.
describe('.env', () => {
  test('is made once, private, with fresh secrets that the validator accepts', () => {
    const [first, second] = [checkout(), checkout()]
    expect(statSync(path.join(first, '.env')).mode & 0o777).toBe(0o600)
    expect(problemsOf(first, {})).toEqual([])
    const [a, b] = [first, second].map((root) => parseEnv(readFileSync(path.join(root, '.env'), 'utf8')))
    for (const name of ['JWT_SECRET', 'BOOTSTRAP_CLIENT_SECRET', 'GYM_SECRET', 'FACTORY_SECRET']) {
      expect(a?.[name]?.length).toBeGreaterThanOrEqual(48)
      expect(a?.[name]).not.toBe(b?.[name])
    }
    const before = readFileSync(path.join(first, '.env'), 'utf8')
    expect(ensureEnvFile(first)).toBeUndefined()
    expect(readFileSync(path.join(first, '.env'), 'utf8')).toBe(before)
  })

  test('of an earlier version is given the secrets that it lacks, and nothing else', () => {
    const root = checkout()
    const file = path.join(root, '.env')
    const old = readFileSync(file, 'utf8').replace(/^GYM_SECRET=.*\n/m, '')
    writeFileSync(file, old)
    expect(problemsOf(root, {})).toEqual(['GYM_SECRET'])
    expect(ensureEnvFile(root, { GYM_SECRET_FILE: '/run/secrets/gym' })).toBeUndefined()
    expect(ensureEnvFile(root)).toBe('added a fresh GYM_SECRET to .env')
    expect(problemsOf(root, {})).toEqual([])
    expect(readFileSync(file, 'utf8').startsWith(old)).toBe(true)
  })

  test('holds every variable of the example', () => {
    const example = parseEnv(readFileSync(path.join(ROOT, '.env.example'), 'utf8'))
    const made = parseEnv(readFileSync(path.join(checkout(), '.env'), 'utf8'))
    expect(Object.keys(made).toSorted()).toEqual(Object.keys(example).toSorted())
  })

  test('copied from the example unchanged is refused, with every bad variable at once', () => {
    const root = temporaryFolder()
    copyFileSync(path.join(ROOT, '.env.example'), path.join(root, '.env.example'))
    copyFileSync(path.join(ROOT, '.env.example'), path.join(root, '.env'))
    expect(problemsOf(root, {})).toEqual(
      expect.arrayContaining([
        'JWT_SECRET',
        'BOOTSTRAP_CLIENT_SECRET',
        'DATABASE_URL',
        'DATABASE_DIRECT_URL',
        'REDIS_URL',
      ]),
    )
  })

  test.each<[Record<string, string>, string[]]>([
    [{ JWT_SECRET: 'changethis' }, ['JWT_SECRET']],
    [{ OPENAI_API_KEY: 'sk-placeholder-key' }, ['OPENAI_API_KEY']],
    [{ DATABASE_URL: 'postgres://app:Zp4vQm81TxYw0sLk@127.0.0.1:1/x' }, ['DATABASE_DIRECT_URL']],
    [{ HYPERCODE_CLIENT_ID: '00000000-0000-7000-8000-000000000009' }, ['HYPERCODE_CLIENT_SECRET']],
    [{ GATEWAY_PORT: '70000' }, ['GATEWAY_PORT']],
  ])('is overruled by the environment, and the result is judged: %j', (environment, bad) => {
    expect([...new Set(problemsOf(checkout(), environment))]).toEqual(bad)
  })
})

describe('mergeEnv', () => {
  test('lets the environment win, also with a file or with another member of a group', () => {
    const file = { JWT_SECRET: 'of the file', LOG_LEVEL: 'info', REDIS_URL: 'of the file' }
    expect(mergeEnv(file, { LOG_LEVEL: 'debug' })).toEqual({ ...file, LOG_LEVEL: 'debug' })
    expect(mergeEnv(file, { JWT_SECRET_FILE: '/run/jwt' })).toEqual({
      JWT_SECRET_FILE: '/run/jwt',
      LOG_LEVEL: 'info',
      REDIS_URL: 'of the file',
    })
    const withKey = mergeEnv(file, { JWT_PRIVATE_KEY: 'pem' })
    expect(withKey).toEqual({ JWT_PRIVATE_KEY: 'pem', LOG_LEVEL: 'info', REDIS_URL: 'of the file' })
    expect(mergeEnv(file, { JWT_PRIVATE_KEY: '' })['JWT_SECRET']).toBe('of the file')
  })
})

// Goal: a process gets the secrets that it needs and no others.
describe('the environment of a process', () => {
  const env = {
    JWT_SECRET: 'jwt',
    BOOTSTRAP_CLIENT_SECRET: 'boot',
    DATABASE_URL: 'db',
    DATABASE_DIRECT_URL: 'direct',
    REDIS_URL: 'redis',
    OPENAI_API_KEY: 'key',
    HYPERCODE_CLIENT_SECRET: 'agent',
    LOG_LEVEL: 'warn',
    npm_config_registry: 'somewhere',
  }
  const ports = { gateway: 1, registry: 2, orchestrator: 3, factory: 4, gym: 5 }
  const stores = { DATABASE_URL: 'private db', REDIS_URL: 'private redis' }

  test('of an agent holds no way to a store and no key of the platform', () => {
    const given = agentEnv(
      env,
      'http://127.0.0.1:1',
      { clientId: 'id', clientSecret: 'secret' },
      {
        instance: 'auditor-1',
        port: 5,
      },
    )
    expect(given).toEqual({
      LOG_LEVEL: 'warn',
      OPENAI_API_KEY: 'key',
      HYPERCODE_URL: 'http://127.0.0.1:1',
      HYPERCODE_CLIENT_ID: 'id',
      HYPERCODE_CLIENT_SECRET: 'secret',
      HYPERCODE_INSTANCE: 'auditor-1',
      AGENT_PORT: '5',
    })
  })

  test('of a service holds the stores and the token key, but not the owner of the database', () => {
    const given = serviceEnv('agent-registry', env, ports, stores)
    expect(given).toMatchObject({ ...stores, JWT_SECRET: 'jwt', REGISTRY_PORT: '2' })
    expect(Object.keys(given)).not.toEqual(expect.arrayContaining(['DATABASE_DIRECT_URL']))
    expect(given['BOOTSTRAP_CLIENT_SECRET']).toBeUndefined()
    expect(given['OPENAI_API_KEY']).toBeUndefined()
  })

  test('of a service other than the gateway holds the public keys where there is a private one', () => {
    const withKey = { ...env, JWT_SECRET: undefined, JWT_PRIVATE_KEY: 'pem' }
    expect(serviceEnv('gateway', withKey, ports, stores)['JWT_PRIVATE_KEY']).toBe('pem')
    const other = serviceEnv('crew-orchestrator', withKey, ports, stores)
    expect(other['JWT_PRIVATE_KEY']).toBeUndefined()
    expect(other['JWT_JWKS_URL']).toBe('http://127.0.0.1:1/.well-known/jwks.json')
  })

  test('drops the file of a secret that is set in its place', () => {
    const given = childEnv({ REDIS_URL_FILE: '/run/redis' }, ['REDIS_URL'], { REDIS_URL: 'private' })
    expect(given).toEqual({ REDIS_URL: 'private' })
    expect(childEnv({ REDIS_URL_FILE: '/run/redis' }, ['REDIS_URL'], {})).toEqual({ REDIS_URL_FILE: '/run/redis' })
    expect(childEnv({ REDIS_URL_FILE: '/run/redis' }, [], {})).toEqual({})
  })
})

// Goal: whoever is not root can start all of it. Method: the folders that .env.example names for installations are not the ones used here.
test('the gym keeps its files beside those of the checkout, and has the sandbox of the agents', () => {
  const place = { gatewayUrl: 'http://127.0.0.1:7000', target: ROOT, modelKey: undefined, log: () => undefined }
  const installed = parseEnv(readFileSync(path.join(ROOT, '.env.example'), 'utf8'))
  const { GYM_DIR, SANDBOX_BWRAP } = ownEnv('turing-gym', { ...installed, SANDBOX_BWRAP: '/opt/bwrap' }, place)
  expect(GYM_DIR).toBe(path.join(path.dirname(serverFolders().stackDir), 'gym'))
  expect(GYM_DIR).not.toBe(installed['GYM_DIR'])
  expect(SANDBOX_BWRAP).toBe('/opt/bwrap')
  expect(ownEnv('gateway', installed, place)).toEqual({})
})
