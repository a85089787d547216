import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { retryAfterMsOf } from '../src/model/model-fault.ts'
import { boundedText, storable, storableJson } from '../src/tools/bounded-text.ts'
import { Policy } from '../src/tools/policy.ts'
import { fitsWildcard } from '../src/tools/wildcard.ts'
import { isSecretFile } from '../src/workspace/secret-files.ts'
import { filePath, treePath } from '../src/workspace/tree-path.ts'

describe('wildcards', () => {
  test('match whole texts', () => {
    for (const [text, pattern] of [
      ['', ''],
      ['', '*'],
      ['abc', 'a*c'],
      ['ac', 'a*c'],
      ['a/b.ts', '*.ts'],
      ['aXbXc', 'a*X*c'],
    ] as const) {
      expect(fitsWildcard(text, pattern), `${text} ${pattern}`).toBe(true)
    }
    for (const [text, pattern] of [
      ['a', ''],
      ['ab', 'a'],
      ['a', 'aa*'],
      ['aba', 'ab*ba'],
      ['abc', '*b'],
      ['x', '.'],
    ] as const) {
      expect(fitsWildcard(text, pattern), `${text} ${pattern}`).toBe(false)
    }
  })

  // Goal: the same answers as a regular expression, without its time.
  test('agree with regular expressions', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '/'), maxLength: 12 })
    const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '/', '*'), maxLength: 8 })
    fc.assert(
      fc.property(text, pattern, (one, other) => {
        expect(fitsWildcard(one, other)).toBe(new RegExp(`^${other.replaceAll('*', '.*')}$`).test(one))
      }),
      { numRuns: 2000 },
    )
  })
})

describe('paths', () => {
  test('are relative, inside, and not of git', () => {
    expect(['', '.', './a//b/', 'a/./b', 'git', 'a.git', '.gitignore', '..a'].map(treePath)).toEqual([
      '',
      '',
      'a/b',
      'a/b',
      'git',
      'a.git',
      '.gitignore',
      '..a',
    ])
    for (const path of [
      '/',
      '/a',
      '..',
      'a/..',
      'a/../b',
      'a\\b',
      'C:/a',
      'a\0',
      'a\nb',
      '.git',
      'a/.GIT/b',
      '.git.',
      '.git ',
      'git~1',
      'a'.repeat(1025),
    ]) {
      expect(() => treePath(path), JSON.stringify(path)).toThrow(/./)
    }
    expect(() => filePath('.')).toThrow('names no file')
  })

  test('never lead out, whatever they are', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('.', '/', 'a', '\\', '\0', 'git'), maxLength: 20 }), (text) => {
        let path: string
        try {
          path = treePath(text)
        } catch {
          return
        }
        expect(path.split('/')).not.toContain('..')
        expect(path.split('/')).not.toContain('.git')
        expect(path.startsWith('/')).toBe(false)
      }),
      { numRuns: 2000 },
    )
  })

  test('of secrets are known by their names', () => {
    expect(['.env', 'a/.env.local', 'id_rsa', 'x/server.key', '.npmrc'].filter((path) => !isSecretFile(path))).toEqual(
      [],
    )
    expect(
      ['.env.example', '.env.local.sample', 'env.ts', 'key.ts', 'src/credentials.ts'].filter(isSecretFile),
    ).toEqual([])
  })
})

describe('policies', () => {
  test('a task cannot allow what the coder does not', () => {
    const policy = new Policy(['run_command', 'read_file'], { commands: ['*'], paths: ['*'] })
    expect(() => policy.assertCommand(['bash', '-c', 'x'])).toThrow('not among the programs')
    expect(() => policy.assertCommand(['constructor'])).toThrow('not among the programs')
    expect(() => policy.assertCommand(['npm', 'install', 'left-pad'])).toThrow('may be run with')
    expect(() => policy.assertCommand(['npm', 'test'])).not.toThrow()
    expect(() => policy.assertTool('write_file')).toThrow('has no tool')
    expect(policy.judge('run_command')({ path: 'a', kind: 'file' })).toBe('this task changes nothing')
    const editing = new Policy(['write_file'], { paths: ['*'] })
    expect(editing.judge('write_file')({ path: 'x/.env', kind: 'file' })).toBe('x/.env must not be changed')
    expect(editing.judge('write_file')({ path: 'x', kind: undefined })).toBeUndefined()
  })
})

describe('texts', () => {
  test('are storable and bounded', () => {
    expect(storable('\u001b[31mred\u001b[0m\0\tx\r\n\ud800')).toBe('red\tx\r\n\ufffd')
    expect(boundedText('a'.repeat(100) + 'z'.repeat(100), 20)).toBe(
      `${'a'.repeat(10)}\n[… 180 characters left out …]\n${'z'.repeat(10)}`,
    )
    expect(storableJson({ 'a\0': ['\0x\u001b', { b: '\\u0000' }, 1, null] })).toEqual({
      a: ['x\u001b', { b: '\\u0000' }, 1, null],
    })
  })

  test('Retry-After is seconds or a date', () => {
    const now = Date.parse('2026-01-01T00:00:00Z')
    expect(retryAfterMsOf('7', now)).toBe(7000)
    expect(retryAfterMsOf('Thu, 01 Jan 2026 00:00:05 GMT', now)).toBe(5000)
    expect(retryAfterMsOf('Wed, 31 Dec 2025 00:00:05 GMT', now)).toBe(0)
    expect([retryAfterMsOf('soon', now), retryAfterMsOf(undefined, now)]).toEqual([undefined, undefined])
  })
})
