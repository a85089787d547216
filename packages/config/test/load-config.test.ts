import { randomBytes } from 'node:crypto'
import { Type } from '@sinclair/typebox'
import type { TObject } from '@sinclair/typebox'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  ApiKey,
  ConfigError,
  HttpUrl,
  JwtSecret,
  PostgresUrl,
  PrivateKeyPem,
  RedisUrl,
  Secret,
  describeConfig,
  generateSecret,
  loadConfig,
} from '../src/index.ts'
import type { ConfigProblem, Env, LoadOptions } from '../src/index.ts'
import { BAD_VALUES, SHORT_VALUES } from './bad-values.ts'

const Config = Type.Object({
  PORT: Type.Integer({ minimum: 0, maximum: 65_535, default: 7010 }),
  RATIO: Type.Number({ minimum: 0, maximum: 1, default: 0.5 }),
  VERBOSE: Type.Boolean({ default: false }),
  LOG_LEVEL: Type.Union([Type.Literal('info'), Type.Literal('debug')], { default: 'info' }),
  TRUST_PROXY: Type.Array(Type.String({ pattern: '^[0-9a-f.:]+/\\d+$' }), { default: [] }),
  REGISTRY_URL: HttpUrl({ default: 'http://127.0.0.1:7010' }),
  INSTANCE: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })),
  ISSUER: Type.String({ minLength: 1, maxLength: 200 }),
  JWT_SECRET: JwtSecret(),
  CLIENT_SECRET: Secret(),
  DATABASE_URL: PostgresUrl(),
  DATABASE_DIRECT_URL: PostgresUrl(),
  REDIS_URL: RedisUrl(),
  OPENAI_API_KEY: Type.Optional(ApiKey()),
})

const hex = (): string => randomBytes(24).toString('hex')
const password = hex()
const good: Env = {
  ISSUER: 'https://hypercode.local',
  JWT_SECRET: generateSecret(),
  CLIENT_SECRET: generateSecret(),
  DATABASE_URL: `postgres://app:${password}@127.0.0.1:6432/hypercode`,
  DATABASE_DIRECT_URL: `postgres://app:${password}@127.0.0.1:5432/hypercode`,
  REDIS_URL: `redis://:${hex()}@127.0.0.1:6379/0`,
}
const SECRETS = ['JWT_SECRET', 'CLIENT_SECRET', 'DATABASE_URL', 'DATABASE_DIRECT_URL', 'REDIS_URL'] as const

function refusal(env: Env, schema: TObject = Config, options?: LoadOptions): ConfigError {
  try {
    loadConfig(schema, env, options)
  } catch (error) {
    if (error instanceof ConfigError) return error
    throw error
  }
  throw new Error('the configuration was accepted')
}
const problemsOf = (env: Env, schema: TObject = Config, options?: LoadOptions): readonly ConfigProblem[] =>
  refusal(env, schema, options).problems
const variables = (problems: readonly ConfigProblem[]): string[] => [
  ...new Set(problems.map(({ variable }) => variable)),
]
const wholeText = (error: ConfigError): string => JSON.stringify([error.message, error.problems, error.stack])

describe('a good environment', () => {
  test('gives defaults, drops what the schema does not name, and is frozen', () => {
    const config = loadConfig(Config, { ...good, HOME: '/root', PATH: '/bin' })
    expect(config).toEqual({
      ...good,
      PORT: 7010,
      RATIO: 0.5,
      VERBOSE: false,
      LOG_LEVEL: 'info',
      TRUST_PROXY: [],
      REGISTRY_URL: 'http://127.0.0.1:7010',
    })
    expect(Object.isFrozen(config)).toBe(true)
  })

  test('is converted to the types of the schema', () => {
    const texts = {
      PORT: '8080',
      RATIO: '0.25',
      VERBOSE: 'true',
      LOG_LEVEL: 'debug',
      TRUST_PROXY: '10.0.0.0/8, ::1/128',
    }
    const config = loadConfig(Config, { ...good, ...texts, INSTANCE: 'auditor-1' })
    expect(config).toMatchObject({ PORT: 8080, RATIO: 0.25, VERBOSE: true, LOG_LEVEL: 'debug', INSTANCE: 'auditor-1' })
    expect(config.TRUST_PROXY).toEqual(['10.0.0.0/8', '::1/128'])
  })

  test('may leave variables empty, which counts as not set', () => {
    const config = loadConfig(Config, { ...good, PORT: '', INSTANCE: '', TRUST_PROXY: '', OPENAI_API_KEY: '' })
    expect(config.PORT).toBe(7010)
    expect('INSTANCE' in config || 'OPENAI_API_KEY' in config).toBe(false)
  })
})

test.each([
  ['PORT', '80a'],
  ['PORT', '7010 '],
  ['PORT', '70.5'],
  ['PORT', '0x1F90'],
  ['PORT', '65536'],
  ['PORT', '-1'],
  ['PORT', '1e3'],
  ['RATIO', '1.5'],
  ['RATIO', 'NaN'],
  ['RATIO', 'Infinity'],
  ['VERBOSE', 'yes'],
  ['VERBOSE', 'TRUE'],
  ['LOG_LEVEL', 'loud'],
  ['LOG_LEVEL', 'info\n'],
  ['TRUST_PROXY', '10.0.0.0/8,everybody'],
  ['REGISTRY_URL', 'registry:7010'],
  ['REGISTRY_URL', 'ftp://registry'],
  ['REGISTRY_URL', 'http://user:pw@registry'],
  ['INSTANCE', 'x'.repeat(65)],
  ['ISSUER', ''],
  ['ISSUER', ' https://hypercode.local'],
])('%s=%j is refused by name, with the way out and without the value', (variable, value) => {
  const [problem, ...others] = problemsOf({ ...good, [variable]: value })
  expect(problem?.variable).toBe(variable)
  expect(problem?.fix).not.toBe('')
  expect(others).toEqual([])
  if (value.trim().length > 4) expect(wholeText(refusal({ ...good, [variable]: value }))).not.toContain(value.trim())
})

// Goal: S5, each secret with each bad value is refused, named, and not printed.
// Method: the table of bad values times all secrets of a service.
describe.each(SECRETS)('%s', (variable) => {
  const url = good[variable]?.replace(password, '{}').replace(/:[0-9a-f]{48}@/, ':{}@') ?? ''
  const carry = (bad: string): string =>
    variable.endsWith('_URL') ? url.replace('{}', () => encodeURIComponent(bad)) : bad

  test('not set', () => {
    for (const env of [
      { ...good, [variable]: undefined },
      { ...good, [variable]: '' },
    ]) {
      expect(problemsOf(env)).toEqual([expect.objectContaining({ variable, problem: 'is not set' })])
    }
  })

  test.each(Object.entries({ ...BAD_VALUES, short: SHORT_VALUES['api-key'].slice(0, 15) }))('%s', (_, bad) => {
    const error = refusal({ ...good, [variable]: carry(bad) })
    expect(variables(error.problems)).toEqual([variable])
    expect(error.message).toContain(variable)
    if (bad.trim().length > 3) expect(wholeText(error)).not.toContain(bad.trim())
    if (bad.trim().length > 3) expect(wholeText(error)).not.toContain(encodeURIComponent(bad.trim()))
  })
})

// Goal: one start is enough to learn of everything that is wrong.
// Method: any set of variables is broken at once; exactly these are named.
test('all bad variables are named at once, and no value of any variable', () => {
  const broken: Record<string, string> = {
    PORT: '«port»',
    RATIO: '«ratio»',
    VERBOSE: '«verbose»',
    LOG_LEVEL: '«level»',
    REGISTRY_URL: '«registry»',
    ISSUER: '«issuer» ',
    JWT_SECRET: '«changethis»',
    CLIENT_SECRET: '«sk-placeholder-key»',
    DATABASE_URL: 'postgres://app:«password»@db/hypercode',
    REDIS_URL: '«redis»',
    OPENAI_API_KEY: '«sk-placeholder-key-»',
  }
  fc.assert(
    fc.property(fc.subarray(Object.keys(broken), { minLength: 1 }), (names) => {
      const bad = Object.fromEntries(names.map((name) => [name, broken[name]]))
      const error = refusal({ ...good, ...bad })
      expect(variables(error.problems).sort()).toEqual([...names].sort())
      for (const name of names) expect(error.message).toContain(`  ${name}\n`)
      expect(wholeText(error)).not.toMatch(/[«»]/)
      for (const value of Object.values(good)) expect(wholeText(error)).not.toContain(value)
    }),
  )
})

describe('values of two variables', () => {
  test('that are the same secret are refused, and both are named', () => {
    const problems = problemsOf({ ...good, CLIENT_SECRET: good['JWT_SECRET'] })
    expect(problems).toEqual([
      expect.objectContaining({ variable: 'JWT_SECRET', problem: 'has the same value as CLIENT_SECRET' }),
      expect.objectContaining({ variable: 'CLIENT_SECRET', problem: 'has the same value as JWT_SECRET' }),
    ])
  })

  test('are compared as passwords inside URLs, too', () => {
    const env = { ...good, REDIS_URL: `redis://:${password}@127.0.0.1/0`, CLIENT_SECRET: password }
    expect(variables(problemsOf(env))).toEqual(['CLIENT_SECRET', 'DATABASE_URL', 'DATABASE_DIRECT_URL', 'REDIS_URL'])
  })

  test('may share a password when they are two ways to one login', () => {
    expect(loadConfig(Config, good).DATABASE_DIRECT_URL).toContain(password)
    const otherUser = { ...good, DATABASE_DIRECT_URL: `postgres://owner:${password}@127.0.0.1/hypercode` }
    expect(variables(problemsOf(otherUser))).toEqual(['DATABASE_URL', 'DATABASE_DIRECT_URL'])
  })
})

test('a secret that still has the value of the example file is refused, however good it looks', () => {
  const exampleValues = { JWT_SECRET: good['JWT_SECRET'], REDIS_URL: good['REDIS_URL']?.replace('127.0.0.1', 'redis') }
  expect(variables(problemsOf(good, Config, { exampleValues }))).toEqual(['JWT_SECRET', 'REDIS_URL'])
  expect(loadConfig(Config, good, { exampleValues: { JWT_SECRET: '', ISSUER: good['ISSUER'] } }).ISSUER).toBe(
    good['ISSUER'],
  )
})

describe('a group of which exactly one is set', () => {
  const Keys = Type.Object({ JWT_SECRET: Type.Optional(JwtSecret()), JWT_PRIVATE_KEY: Type.Optional(PrivateKeyPem()) })
  const options = { exactlyOne: [['JWT_SECRET', 'JWT_PRIVATE_KEY']] }
  const text = generateSecret()

  test('takes one', () => {
    expect(loadConfig(Keys, { JWT_SECRET: text, JWT_PRIVATE_KEY: '' }, options)).toEqual({ JWT_SECRET: text })
  })
  test('refuses none', () => {
    const [problem] = problemsOf({ JWT_SECRET: '' }, Keys, options)
    expect(problem).toMatchObject({ variable: 'JWT_SECRET', problem: 'is not set, and neither is JWT_PRIVATE_KEY' })
  })
  test('refuses both, also when one comes from a file', () => {
    for (const env of [{ JWT_PRIVATE_KEY: 'a' }, { JWT_PRIVATE_KEY_FILE: '/nowhere' }]) {
      const named = variables(problemsOf({ JWT_SECRET: text, ...env }, Keys, options))
      expect(named).toEqual(expect.arrayContaining(['JWT_SECRET', 'JWT_PRIVATE_KEY']))
    }
  })
})

test('the message is a block to read', () => {
  const error = refusal({ ...good, PORT: 'x', JWT_SECRET: 'changethis' })
  expect(error.exitCode).toBe(78)
  expect(error.message.split('\n')).toEqual([
    'The configuration is refused: 2 variables have to be put right',
    '',
    '  PORT',
    '    is not an integer from 0 to 65535',
    '    fix: set it to an integer from 0 to 65535',
    '  JWT_SECRET',
    '    is a well-known stand-in, not a real value',
    '    is shorter than 32 characters',
    '    fix: set it to the output of: openssl rand -base64 48',
  ])
})

test('describeConfig shows all but the secrets', () => {
  const env: Env = { ...good, OPENAI_API_KEY: `sk-proj-${'Zb3kQx91LmPq7vTn4RsWd2Yh8CfJg5Ka0'}` }
  const shown = describeConfig(loadConfig(Config, env), Config)
  expect(shown).toMatchObject({
    PORT: 7010,
    ISSUER: 'https://hypercode.local',
    JWT_SECRET: '[secret]',
    CLIENT_SECRET: '[secret]',
    OPENAI_API_KEY: '[secret]',
    DATABASE_URL: 'postgres://app:[secret]@127.0.0.1:6432/hypercode',
    REDIS_URL: 'redis://:[secret]@127.0.0.1:6379/0',
  })
  const hidden = [env['JWT_SECRET'], env['CLIENT_SECRET'], env['OPENAI_API_KEY'], password]
  for (const value of hidden) expect(JSON.stringify(shown)).not.toContain(value)
})

test('describeConfig masks a password in the query and what the schema does not know', () => {
  const shown = describeConfig(
    { DATABASE_URL: 'postgres://app@db/x?sslmode=require&password=hidden', OTHER: 'hidden' },
    Config,
  )
  expect(shown).toEqual({ DATABASE_URL: 'postgres://app@db/x?sslmode=require&password=[secret]', OTHER: '[secret]' })
})
