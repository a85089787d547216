import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { parseStartArguments } from '../src/arguments.ts'
import { ROOT } from '../src/checkout.ts'
import { UserError } from '../src/user-error.ts'
import { temporaryFolder } from './temporary-folder.ts'

const refusal = (...argv: string[]): [number, string] => {
  try {
    parseStartArguments(argv)
  } catch (error) {
    if (error instanceof UserError) return [error.exitCode, error.message]
    throw error
  }
  throw new Error('it was accepted')
}

// Goal: what cannot be audited is refused in one line with exit code 2, before anything is started.
describe('the path to audit', () => {
  test('is this repository when none is given', () => {
    expect(parseStartArguments([])).toEqual({
      target: ROOT,
      once: false,
      fix: false,
      failUnder: undefined,
      json: undefined,
    })
  })

  test('may be relative to where the person stands, and a link', () => {
    const dir = temporaryFolder()
    mkdirSync(path.join(dir, 'repo'))
    writeFileSync(path.join(dir, 'repo', 'a.py'), 'pass\n')
    symlinkSync('repo', path.join(dir, 'link'))
    vi.stubEnv('INIT_CWD', dir)
    expect(parseStartArguments(['link']).target).toBe(path.join(dir, 'repo'))
  })

  test.each<[string, (dir: string) => string, RegExp]>([
    ['missing', (dir) => path.join(dir, 'nowhere'), /^there is no folder .*nowhere to audit$/],
    ['an empty word', () => '', /^the path to audit is empty$/],
    ['a file', (dir) => fileIn(dir), /is a file; the path to audit must be a folder$/],
    ['an empty folder', (dir) => dir, /is empty: there is nothing to audit$/],
    ['a folder with nothing but .git', (dir) => (mkdirSync(path.join(dir, '.git')), dir), /is empty: there is nothing/],
  ])('is refused when it is %s', (_, make, message) => {
    const [code, text] = refusal(make(temporaryFolder()))
    expect([code, text.split('\n')]).toEqual([2, [expect.stringMatching(message)]])
  })

  test.skipIf(process.getuid?.() === 0)('is refused when it cannot be read', () => {
    const dir = temporaryFolder()
    fileIn(dir)
    chmodSync(dir, 0)
    expect(refusal(dir)).toEqual([2, `the folder ${dir} cannot be read`])
    chmodSync(dir, 0o700)
  })
})

describe('the options', () => {
  test('are read', () => {
    const dir = temporaryFolder()
    fileIn(dir)
    const json = path.join(dir, 'report.json')
    expect(parseStartArguments([dir, '--once', '--fix', '--fail-under', '87.5', '--json', json])).toEqual({
      target: dir,
      once: true,
      fix: true,
      failUnder: 87.5,
      json,
    })
  })

  test.each([
    [['--fail-under', '101'], /must be a number from 0 to 100/],
    [['--fail-under', 'good'], /must be a number from 0 to 100/],
    [['--fail-under'], /argument missing/],
    [['--json', '/nowhere/at/all.json'], /cannot be written/],
    [['--json', '/'], /must be a file/],
    [['--nonsense'], /unknown option '--nonsense'/],
    [['.', '..'], /too many arguments/],
  ])('are refused when they are wrong: %j', (argv, message) => {
    const [code, text] = refusal(...argv)
    expect([code, text.split('\n')]).toEqual([2, [expect.stringMatching(message)]])
  })
})

function fileIn(dir: string): string {
  const file = path.join(dir, 'a.py')
  writeFileSync(file, 'pass\n')
  return file
}
