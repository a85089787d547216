import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseEnv } from 'node:util'
import { Type } from '@sinclair/typebox'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  ApiKey,
  ConfigError,
  JwtSecret,
  PostgresUrl,
  RedisUrl,
  Secret,
  generateSecret,
  judgeSecret,
  loadConfig,
  readExampleValues,
  renderEnv,
} from '../src/index.ts'

const path = fileURLToPath(new URL('../../../.env.example', import.meta.url))
const exampleText = readFileSync(path, 'utf8')
const Secrets = Type.Object({
  JWT_SECRET: JwtSecret(),
  BOOTSTRAP_CLIENT_SECRET: Secret(),
  HYPERCODE_CLIENT_SECRET: Secret(),
  DATABASE_URL: PostgresUrl(),
  DATABASE_DIRECT_URL: PostgresUrl(),
  REDIS_URL: RedisUrl(),
  OPENAI_API_KEY: Type.Optional(ApiKey()),
})

// Goal: the example is refused for what its values are, not only because they are the example's.
test('.env.example, copied unchanged, is refused for every secret in it', () => {
  const values = readExampleValues(path)
  const required = Object.keys(Secrets.properties).filter((name) => name !== 'OPENAI_API_KEY')
  try {
    loadConfig(Secrets, values)
    expect.unreachable()
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    const named = new Set((error as ConfigError).problems.map(({ variable }) => variable))
    expect([...named].sort()).toEqual(required.sort())
  }
  const shown = /^# OPENAI_API_KEY=(.+)$/m.exec(exampleText)?.[1] ?? ''
  expect(judgeSecret(shown, 'api-key').map(({ code }) => code)).toContain('stand-in')
})

test('.env.example says something about every variable and nothing twice', () => {
  const lines = exampleText.split('\n')
  const names = lines.flatMap((line) => /^(?:# )?([A-Z][A-Z0-9_]*)=/.exec(line)?.[1] ?? [])
  expect(new Set(names).size).toBe(names.length)
  for (const [at, line] of lines.entries()) {
    if (/^[A-Z]/.test(line)) expect(lines[at - 1], line).toMatch(/^(#|[A-Z][A-Z0-9_]*=)/)
  }
})

test('renderEnv puts fresh values in place and keeps everything else', () => {
  const database = generateSecret(24)
  const generated = {
    JWT_SECRET: generateSecret(),
    BOOTSTRAP_CLIENT_SECRET: generateSecret(),
    HYPERCODE_CLIENT_SECRET: generateSecret(),
    DATABASE_URL: `postgres://hypercode:${database}@127.0.0.1:6432/hypercode`,
    DATABASE_DIRECT_URL: `postgres://hypercode:${database}@127.0.0.1:5432/hypercode`,
    REDIS_URL: `redis://:${generateSecret(24)}@127.0.0.1:6379/0`,
  }
  const text = renderEnv(exampleText, generated)
  const values = Object.fromEntries(Object.entries(parseEnv(text)))
  expect(loadConfig(Secrets, values, { exampleValues: readExampleValues(path) })).toEqual(generated)
  expect(values).toEqual({ ...readExampleValues(path), ...generated })
  expect(text.split('\n').filter((line) => line.startsWith('#'))).toEqual(
    exampleText.split('\n').filter((line) => line.startsWith('#')),
  )
})

test('renderEnv sets what is commented out in its place, and adds what is not there', () => {
  const text = renderEnv('A=1\n# B=2\n# about C\n', { B: 'two words', C: "it's #3", A: 'x' })
  expect(text).toBe("A=x\nB='two words'\n# about C\nC=\"it's #3\"\n")
})

// Goal: what is written is what a service reads, whatever the value.
// Method: any text goes through the file; refusing to write it is allowed, changing it is not.
test('renderEnv carries a value unchanged or refuses it', () => {
  let carried = 0
  const value = fc.oneof(
    fc.string({ maxLength: 60 }),
    fc.string({ unit: fc.constantFrom(...'ab \'"`#$\\\n='), maxLength: 12 }),
  )
  fc.assert(
    fc.property(value, (text) => {
      let file: string
      try {
        file = renderEnv('BEFORE=1\nNAME=changethis\nAFTER=2\n', { NAME: text })
      } catch (error) {
        expect((error as Error).message).toBe('the value of NAME cannot be written in an env file')
        return
      }
      carried++
      expect(parseEnv(file)).toEqual({ BEFORE: '1', NAME: text, AFTER: '2' })
    }),
    { numRuns: 500 },
  )
  expect(carried).toBeGreaterThan(100)
})

test('readExampleValues has nothing to say about a file that is not there', () => {
  const directory = mkdtempSync(join(tmpdir(), 'hypercode-env-'))
  try {
    expect(readExampleValues(join(directory, '.env.example'))).toEqual({})
    expect(() => readExampleValues(directory)).toThrow('EISDIR')
  } finally {
    rmSync(directory, { recursive: true })
  }
})

test('generateSecret gives a different, acceptable value each time', () => {
  const values = Array.from({ length: 200 }, () => generateSecret(32))
  expect(new Set(values).size).toBe(200)
  for (const value of values) expect(judgeSecret(value, 'general')).toEqual([])
  expect(generateSecret()).toHaveLength(64)
  for (const bytes of [0, 15, 1_025, 32.5, Number.NaN]) expect(() => generateSecret(bytes)).toThrow(RangeError)
})
