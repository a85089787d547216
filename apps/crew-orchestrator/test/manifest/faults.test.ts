import type { Fault } from '@hypercode/contracts'
import { cpuMsOf } from '@hypercode/testkit/tools'
import { describe, expect, test } from 'vitest'
import { Lexer } from 'yaml'
import { parseManifest, readManifest } from '../../src/manifest/parse.ts'
import { HEAD, expectFaults, tasks } from './expect-faults.ts'
import type { Expected } from './expect-faults.ts'

describe('faults of shape, with the place of each', () => {
  test.for<[string, string, Expected[]]>([
    [
      'an unknown key',
      tasks('    - { id: a, member: worker, depends_on: [] }\n'),
      [['/spec/tasks/0/depends_on', 7, 32, '"depends_on" is not a key here']],
    ],
    [
      'an unknown key with a block below it',
      tasks('    - id: a\n      member: worker\n      retries:\n        maxAttempts: 3\n'),
      [['/spec/tasks/0/retries', 9, 7, '"retries" is not a key here']],
    ],
    [
      'an unknown key at the top, with characters that pointers escape',
      `${tasks('    - { id: a, member: worker }\n')}"a/b~c": 1\n`,
      [['/a~1b~0c', 8, 1, '"a/b~c" is not a key here']],
    ],
    ['a missing key', tasks('    - { id: a }\n'), [['/spec/tasks/0', 7, 7, 'needs a "member" or a "crew"']]],
    [
      'a missing section',
      'apiVersion: hypercode/v1\nkind: Crew\nmetadata: { name: demo }\n',
      [['', 1, 1, '"spec" is missing']],
    ],
    [
      'a wrong type',
      tasks('    - { id: a, member: worker, priority: high }\n'),
      [['/spec/tasks/0/priority', 7, 42, 'must be integer']],
    ],
    [
      'a number where a text is needed',
      tasks('    - id: 7\n      member: worker\n'),
      [['/spec/tasks/0/id', 7, 11, 'must be string']],
    ],
    ['no tasks', HEAD.replace('  tasks:\n', '  tasks: []\n'), [['/spec/tasks', 6, 10, 'must NOT have fewer than 1']]],
    [
      'another version of the format',
      tasks('    - { id: a, member: worker }\n').replace('hypercode/v1', 'hypercode/v9'),
      [['/apiVersion', 1, 13, 'must be "hypercode/v1"']],
    ],
    [
      'a process that does not exist',
      `${tasks('    - { id: a, member: worker }\n')}  process: anarchic\n`,
      [['/spec/process', 8, 12, 'must be one of sequential, parallel, dag']],
    ],
    [
      'a length of time in other words',
      tasks('    - id: a\n      member: worker\n      timeouts: { attempt: 5 minutes, queue: 0s }\n'),
      [
        ['/spec/tasks/0/timeouts/queue', 9, 46, 'must be a length of time'],
        ['/spec/tasks/0/timeouts/attempt', 9, 28, 'must be a length of time'],
      ],
    ],
    [
      'a length of time that no clock reaches',
      `${tasks('    - id: a\n      member: worker\n      retry: { maxInterval: 999999999d }\n      timeouts: { total: 99999d }\n')}  policy: { deadline: 9999999h }\n`,
      [
        ['/spec/tasks/0/retry/maxInterval', 9, 29, 'must be a length of time'],
        ['/spec/tasks/0/timeouts/total', 10, 26, 'must be a length of time'],
        ['/spec/policy/deadline', 11, 23, 'must be a length of time'],
      ],
    ],
    [
      'several at once',
      tasks('    - { id: A, member: worker }\n    - { id: b, member: worker, retry: { maxAttempts: 0 } }\n'),
      [
        ['/spec/tasks/0/id', 7, 13, 'must match pattern'],
        ['/spec/tasks/1/retry/maxAttempts', 8, 54, 'must be >= 1'],
      ],
    ],
    ['a list', '- 1\n- 2\n', [['', 1, 1, 'must be object']]],
    ['a word', 'hello', [['', 1, 1, 'must be object']]],
    ['nothing', '', [['', 1, 1, 'must be object']]],
    ['only comments', '# later\n', [['', 1, 1, 'must be object']]],
  ])('%s', ([, text, expected]) => expectFaults(text, expected))
})

describe('texts that are no manifest at all', () => {
  test.for<[string, string, Expected[]]>([
    [
      'a key twice',
      `${tasks('    - { id: a, member: worker }\n')}kind: Crew\n`,
      [['', 8, 1, 'the key "kind" stands here a second time']],
    ],
    ['a tab as indentation', 'spec:\n\ttasks: []\n', [['', 2, 1, 'Tabs are not allowed as indentation']]],
    ['an open bracket', 'a: [1, 2\n', [['', 2, 1, 'end with a ]']]],
    ['two documents', 'a: 1\n---\nb: 2\n', [['', 2, 1, 'multiple documents']]],
  ])('%s', ([, text, expected]) => {
    const { faults } = parseManifest(text)
    expect(faults.length).toBeGreaterThan(0)
    expectFaults(text, [...expected, ...faults.slice(expected.length).map((fault) => placeOf(fault))])
  })

  const bomb = `a: &a [x, x, x, x, x, x, x, x, x]\n${Array.from('bcdefgh', (name, index) => `${name}: &${name} [${Array.from({ length: 9 }, () => `*${'abcdefgh'[index]}`).join(', ')}]`).join('\n')}\n`
  test.for<[string, string, string]>([
    ['an alias bomb', bomb, 'alias'],
    ['an alias that holds itself', tasks('    - id: a\n      member: worker\n      input: &x { again: *x }\n'), ''],
    ['an alias without an anchor', 'a: *nowhere\n', 'nowhere'],
    ['flow nesting without end', '['.repeat(100_000), 'nested'],
    [
      'block nesting without end',
      Array.from({ length: 700 }, (_, depth) => `${' '.repeat(depth)}a:`).join('\n'),
      'nested',
    ],
    ['dashes without end', `${'- '.repeat(100_000)}x`, 'nested'],
    [
      'values that are nested too deep',
      tasks(`    - { id: a, member: worker, input: ${'['.repeat(70)}${']'.repeat(70)} }\n`),
      'nested',
    ],
    ['a NUL', tasks('    - { id: a, member: worker, input: "a\\0b" }\n'), 'cannot be stored'],
    ['half a character', tasks('    - { id: a, member: worker, input: { "\\uD800": 1 } }\n'), 'cannot be stored'],
    ['a number that is none', tasks('    - { id: a, member: worker, input: .nan }\n'), 'cannot be stored'],
    ['infinity', tasks('    - { id: a, member: worker, input: [-.inf] }\n'), 'cannot be stored'],
    [
      'a set of YAML 1.1',
      `%YAML 1.1\n---\n${tasks('    - { id: a, member: worker, input: !!set { x } }\n')}`,
      'unresolved tag',
    ],
    [
      'bytes of YAML 1.1',
      `%YAML 1.1\n---\n${tasks('    - { id: a, member: worker, input: !!binary aGk= }\n')}`,
      'unresolved tag',
    ],
    ['a key that is a list', tasks('    - { id: a, member: worker, input: { [a]: 1 } }\n'), 'key'],
    ['a tag that nobody knows', tasks('    - { id: a, member: worker, input: !!js/function "x" }\n'), 'tag'],
  ])('%s is refused with a place, and in no time', ([, text, words]) => {
    expect(cpuMsOf(() => void parseManifest(text))).toBeLessThan(1000)
    const { manifest, faults } = parseManifest(text)
    expect(manifest).toBeUndefined()
    expect(faults[0]?.message.toLowerCase()).toContain(words)
    for (const fault of faults) expect([fault.line, fault.column].every((at) => at !== undefined && at >= 1)).toBe(true)
  })
})

test('a date is a text, in YAML 1.1 too', () => {
  const text = `%YAML 1.1\n---\n${tasks('    - { id: a, member: worker, input: [2001-01-01, yes] }\n')}`
  expect(parseManifest(text).manifest?.spec.tasks[0]?.input).toEqual(['2001-01-01', 'yes'])
})

describe('a text that was made to keep the parser busy', () => {
  const long = 'x'.repeat(60_000)
  test.for<[string, string]>([
    ['closing brackets', '}'.repeat(250_000)],
    ['texts side by side', '"a" '.repeat(60_000)],
    ['anchors', '&a '.repeat(80_000)],
    ['escapes that do not exist', `"${'\\x'.repeat(120_000)}`],
    ['different keys', Array.from({ length: 30_000 }, (_, index) => `k${index}:`).join('\n')],
    ['the same key', 'a:\n'.repeat(80_000)],
    [
      'a large value many times',
      tasks(`    - id: a\n      member: worker\n      input: [&x ${long}${', *x'.repeat(90)}]\n`),
    ],
    [
      'many values many times',
      tasks(`    - id: a\n      member: worker\n      input: [&x [${'1,'.repeat(50_000)}]${', *x'.repeat(90)}]\n`),
    ],
  ])('%s: refused in a moment, with at most 100 faults', ([, text]) => {
    // What only looking at the text costs is the measure, so that a slow machine changes nothing.
    const lookMs = cpuMsOf(() => {
      for (const _ of new Lexer().lex(text)) continue
    })
    expect(cpuMsOf(() => void parseManifest(text))).toBeLessThan(300 + 30 * lookMs)
    const { faults } = parseManifest(text)
    expect(faults.length).toBeGreaterThan(0)
    expect(faults.length).toBeLessThanOrEqual(100)
  })

  test('errors of others have their stacks again', () => {
    parseManifest('}')
    expect(new Error('later').stack).toContain('faults.test.ts')
  })
})

const placeOf = ({ pointer, line, column, message }: Fault): Expected => [pointer, line ?? 0, column ?? 0, message]

describe('JSON', () => {
  test('text is read as YAML is, with places', () => {
    const text = `${JSON.stringify({ apiVersion: 'hypercode/v1', kind: 'Crew', metadata: { name: 'x' }, spec: { tasks: [] } }, null, 2)}\n`
    const { faults } = parseManifest(text)
    expect(faults).toMatchObject([
      { pointer: '/spec', line: 7, column: 11, message: '"members" is missing' },
      { pointer: '/spec/tasks', line: 8, column: 14 },
    ])
  })

  test('a value has no lines', () => {
    const { faults } = readManifest({ kind: 'Crew' })
    expect(faults.map((fault) => fault.pointer)).toEqual(['', '', ''])
    expect(faults[0]).not.toHaveProperty('line')
  })

  test('a value that holds text is read as YAML', () => {
    expect(readManifest(tasks('    - { id: a, member: worker }\n')).manifest).toMatchObject({
      metadata: { name: 'demo' },
    })
  })
})

test('a wrong word or a key too many does not hide the faults behind it', () => {
  const { faults } = parseManifest(
    [
      'apiVersion: hypercode/v1',
      'kind: Crew',
      'metadata: { name: Not-A-Name }',
      'spec:',
      '  members: [{ id: a, skill: s }]',
      '  tasks:',
      '    - { id: one, member: a, dependsOn: [two] }',
      '    - { id: two, member: b, dependsOn: [one], frob: 1 }',
    ].join('\n'),
  )
  expect(faults.map(({ pointer, line }) => [pointer, line])).toEqual([
    ['/metadata/name', 3],
    ['/spec/tasks/1/frob', 8],
    ['/spec/tasks/1/member', 8],
    ['/spec/tasks/0/dependsOn', 7],
  ])
})
