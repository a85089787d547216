import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Type } from '@sinclair/typebox'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ConfigError, JwtSecret, generateSecret, loadConfig, readSecretFile } from '../src/index.ts'
import { BAD_VALUES } from './bad-values.ts'

const Config = Type.Object({ JWT_SECRET: JwtSecret() })
const isRoot = process.geteuid?.() === 0
let directory: string
let secret: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hypercode-secret-'))
  secret = generateSecret()
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

/** A file with exactly this mode, whatever the umask. */
function file(name: string, content: string | Buffer, mode = 0o400): string {
  const path = join(directory, name)
  writeFileSync(path, content)
  chmodSync(path, mode)
  return path
}

const problemOf = (path: string): string => {
  const read = readSecretFile(path)
  if ('value' in read) throw new Error('the file was accepted')
  expect(`${read.problem} ${read.fix}`).not.toContain(directory)
  return read.problem
}

describe('a secret file', () => {
  test.each([0o400, 0o440, 0o600, 0o640])('is read with mode %o', (mode) => {
    expect(readSecretFile(file('jwt', secret, mode))).toEqual({ value: secret })
  })

  test.each([0o444, 0o644, 0o604, 0o660, 0o666, 0o777, 0o401, 0o402, 0o620])('is refused with mode %o', (mode) => {
    expect(problemOf(file('jwt', secret, mode))).toContain('others can read')
  })

  test('loses one line break at its end and no more', () => {
    expect(readSecretFile(file('one', `${secret}\n`))).toEqual({ value: secret })
    expect(readSecretFile(file('windows', `${secret}\r\n`))).toEqual({ value: secret })
    expect(readSecretFile(file('two', `${secret}\n\n`))).toEqual({ value: `${secret}\n` })
    expect(readSecretFile(file('space', `${secret} \n`))).toEqual({ value: `${secret} ` })
  })

  test('may be 64 KiB long and no longer', () => {
    expect(readSecretFile(file('full', 'k'.repeat(65_536)))).toEqual({ value: 'k'.repeat(65_536) })
    expect(problemOf(file('over', 'k'.repeat(65_537)))).toContain('more than 64 KiB')
  })

  test('has to be text', () => {
    expect(problemOf(file('binary', Buffer.from([0xff, 0xfe, 0x00, 0x80])))).toContain('UTF-8')
  })

  test.skipIf(!isRoot)('has to belong to root or to the user of the process', () => {
    const path = file('jwt', secret)
    chownSync(path, 65_534, 65_534)
    expect(problemOf(path)).toContain('another user')
  })

  test('has to be a regular file that exists', () => {
    expect(problemOf(join(directory, 'missing'))).toContain('ENOENT')
    mkdirSync(join(directory, 'sub'))
    expect(problemOf(join(directory, 'sub'))).toContain('regular file')
    execFileSync('mkfifo', ['-m', '400', join(directory, 'pipe')])
    expect(problemOf(join(directory, 'pipe'))).toContain('regular file')
    expect(problemOf('/dev/zero')).toContain('regular file')
    expect(problemOf('a\0b')).toContain('cannot be read')
    expect(problemOf(join(file('jwt', secret), 'below'))).toContain('ENOTDIR')
  })
})

describe('a symbolic link', () => {
  test('is followed within its directory, as Kubernetes mounts secrets', () => {
    mkdirSync(join(directory, '..2026_01_01'))
    file('..2026_01_01/JWT_SECRET', secret)
    symlinkSync('..2026_01_01', join(directory, '..data'))
    symlinkSync('..data/JWT_SECRET', join(directory, 'JWT_SECRET'))
    expect(readSecretFile(join(directory, 'JWT_SECRET'))).toEqual({ value: secret })
  })

  test('is followed where the directory itself is reached through one', () => {
    mkdirSync(join(directory, 'run'))
    file('run/jwt', secret)
    symlinkSync('run', join(directory, 'var-run'))
    expect(readSecretFile(join(directory, 'var-run', 'jwt'))).toEqual({ value: secret })
  })

  test('is refused when it leads out, also into a sibling with the same beginning', () => {
    for (const place of ['outside', 'mount-other']) mkdirSync(join(directory, place))
    mkdirSync(join(directory, 'mount'))
    file('outside/jwt', secret)
    file('mount-other/jwt', secret)
    symlinkSync('../outside/jwt', join(directory, 'mount', 'a'))
    symlinkSync('../mount-other/jwt', join(directory, 'mount', 'b'))
    symlinkSync('/etc/passwd', join(directory, 'mount', 'c'))
    for (const name of ['a', 'b', 'c']) expect(problemOf(join(directory, 'mount', name))).toContain('leads out')
  })

  test('is refused when it leads in a circle', () => {
    symlinkSync('b', join(directory, 'a'))
    symlinkSync('a', join(directory, 'b'))
    expect(problemOf(join(directory, 'a'))).toContain('ELOOP')
  })
})

describe('NAME_FILE', () => {
  const problems = (env: Record<string, string>): ConfigError['problems'] => {
    try {
      loadConfig(Config, env)
    } catch (error) {
      if (error instanceof ConfigError) return error.problems
      throw error
    }
    throw new Error('the configuration was accepted')
  }

  test('gives the value in place of NAME', () => {
    expect(loadConfig(Config, { JWT_SECRET_FILE: file('jwt', `${secret}\n`) })).toEqual({ JWT_SECRET: secret })
    expect(loadConfig(Config, { JWT_SECRET: '', JWT_SECRET_FILE: file('jwt2', secret) })).toEqual({
      JWT_SECRET: secret,
    })
  })

  test('and NAME are not both set', () => {
    expect(problems({ JWT_SECRET: secret, JWT_SECRET_FILE: file('jwt', secret) })).toEqual([
      expect.objectContaining({ variable: 'JWT_SECRET', problem: 'is set, and so is JWT_SECRET_FILE' }),
    ])
  })

  test('is named when the file is no good', () => {
    expect(problems({ JWT_SECRET_FILE: file('open', secret, 0o644) })[0]?.variable).toBe('JWT_SECRET_FILE')
    expect(problems({ JWT_SECRET_FILE: file('empty', '') })[0]).toMatchObject({ problem: 'names a file that is empty' })
  })

  test.each(Object.entries(BAD_VALUES))('is judged like a variable: %s', (_, bad) => {
    // One line break at the end belongs to the file, so a second one makes the accident.
    const found = problems({ JWT_SECRET_FILE: file('jwt', bad.endsWith('\n') ? `${bad}\n` : bad) })
    expect(found.length).toBeGreaterThan(0)
    for (const { variable } of found) expect(['JWT_SECRET', 'JWT_SECRET_FILE']).toContain(variable)
    if (bad.trim().length > 3) expect(JSON.stringify(found)).not.toContain(bad.trim())
  })
})
