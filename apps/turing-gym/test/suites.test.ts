import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { createSuiteReader } from '../src/suites/index.ts'

const reader = createSuiteReader(
  new Map([
    [
      'known',
      {
        scorer: { name: 'known', score: () => ({ score: 1 }) },
        optionFaults: (options) => (options === undefined ? [] : ['it takes no options']),
      },
    ],
  ]),
)

/** A suite whose one scenario has these lines, at column 7. */
const suite = (scenario: string, spec = ''): string => `apiVersion: hypercode/v1
kind: Suite
metadata: { name: basics }
spec:
  skill: code.edit
  gate: { kind: thresholds, passRate: 0.9 }
${spec}  scenarios:
    - id: one
${scenario
  .trim()
  .split('\n')
  .map((line) => `      ${line}`)
  .join('\n')}
`

const SOUND = `
input: { root: "\${workspace}", task: Fix the range. }
workspace:
  files: { src/range.ts: "export const range = 1", package.json: "{}" }
  patch: patch.diff
faults: [{ kill: agent, at: "step:2" }, { status: 429, times: 2 }]
scorers:
  - { kind: regex, at: summary, pattern: "range" }
  - { kind: command, argv: [node, --test], files: { test/range.test.ts: "hidden" } }
  - { kind: resilience }
`

describe('a suite', () => {
  it('that is sound is read', () => {
    const { manifest, faults } = reader.parse(suite(SOUND))
    expect(faults).toEqual([])
    expect(manifest?.spec.scenarios[0]?.workspace?.patch).toBe('patch.diff')
  })

  it('of a faulty file has every fault at its place', () => {
    const { faults } = reader.parse(
      suite(
        `
input: { task: "\${workspace}" }
scorers:
  - { kind: regex, pattern: "(a" }
  - { kind: file-exists, file: a.txt }
`,
        '  judge: { agreement: 0.9, calibration: [{ rubric: r, output: 1, passes: true }, { rubric: r, output: 2, passes: true }] }\n',
      ),
    )
    expect(faults.map(({ pointer, line, column }) => [pointer, line, column])).toEqual([
      ['/spec/scenarios/0/input', 10, 14],
      ['/spec/scenarios/0/scorers/0/pattern', 12, 35],
      ['/spec/scenarios/0/scorers/1', 13, 11],
      ['/spec/judge/calibration', 7, 41],
    ])
  })
})

const WORKSPACE = 'input: { root: "${workspace}" }\nworkspace: { files: { a.txt: "x" } }\n'

describe('faults of meaning', () => {
  it.each([
    [
      'a pattern that back-tracks',
      'input: 1\nscorers: [{ kind: regex, pattern: "(a)\\\\1" }]',
      'scorers/0/pattern',
      /escape|invalid/i,
    ],
    [
      'a pattern that looks around',
      'input: 1\nscorers: [{ kind: regex, pattern: "(?=a)b" }]',
      'scorers/0/pattern',
      /perl|invalid|unsupported/i,
    ],
    ['no schema', 'input: 1\nscorers: [{ kind: schema, schema: { type: objekt } }]', 'scorers/0/schema', /type/],
    [
      'a keyword that nobody knows',
      'input: 1\nscorers: [{ kind: schema, schema: { reqired: [a] } }]',
      'scorers/0/schema',
      /unknown keyword/,
    ],
    [
      'a schema from elsewhere',
      'input: 1\nscorers: [{ kind: schema, schema: { $ref: "https://example.com/a" } }]',
      'scorers/0/schema',
      /resolve/,
    ],
    [
      'a bad pattern in a schema',
      'input: 1\nscorers: [{ kind: schema, schema: { type: string, pattern: "(?<!a)b" } }]',
      'scorers/0/schema',
      /./,
    ],
    ['no path', 'input: 1\nscorers: [{ kind: path, at: "a..b" }]', 'scorers/0/at', /neither a path/],
    ['no query', 'input: 1\nscorers: [{ kind: path, at: "$.a[?" }]', 'scorers/0/at', /./],
    [
      'a value of nothing',
      'input: 1\nscorers: [{ kind: path, at: a, exists: false, value: 1 }]',
      'scorers/0/value',
      /no value/,
    ],
    [
      'a name twice',
      'input: 1\nscorers: [{ kind: tokens, max: 1, name: a }, { kind: tokens, max: 2, name: a }]',
      'scorers/1/name',
      /second time/,
    ],
    ['no weight at all', 'input: 1\nscorers: [{ kind: tokens, max: 1, weight: 0 }]', 'scorers', /every weight is 0/],
    ['a command without files', 'input: 1\nscorers: [{ kind: command, argv: [ls] }]', 'scorers/0', /no workspace/],
    [
      'a workspace nobody is told of',
      'input: 1\nworkspace: { files: {} }\nscorers: [{ kind: tokens, max: 1 }]',
      'workspace',
      /not told/,
    ],
    [
      'a path upwards',
      WORKSPACE.replace('a.txt', '../a.txt') + 'scorers: [{ kind: tokens, max: 1 }]',
      'workspace/files/..~1a.txt',
      /no path below/,
    ],
    [
      'an absolute path',
      WORKSPACE.replace('a.txt', '/etc/passwd') + 'scorers: [{ kind: tokens, max: 1 }]',
      'workspace/files/~1etc~1passwd',
      /no path below/,
    ],
    [
      'a folder of git',
      WORKSPACE.replace('a.txt', 'sub/.GIT/hooks/post-checkout') + 'scorers: [{ kind: tokens, max: 1 }]',
      'workspace/files/sub~1.GIT~1hooks~1post-checkout',
      /no path below/,
    ],
    [
      'a file that is a folder',
      WORKSPACE.replace('a.txt: "x"', '"a/b": "x", a: "y"') + 'scorers: [{ kind: tokens, max: 1 }]',
      'workspace/files/a',
      /a folder elsewhere/,
    ],
    [
      'a hidden file upwards',
      WORKSPACE + 'scorers: [{ kind: command, argv: [ls], files: { "../x": "" } }]',
      'scorers/0/files/..~1x',
      /no path below/,
    ],
    [
      'a judge without calibration',
      'input: 1\nscorers: [{ kind: judge, rubric: good }]',
      'scorers/0',
      /needs calibration/,
    ],
    [
      'a module that is not there',
      'input: 1\nscorers: [{ kind: module, module: other }]',
      'scorers/0/module',
      /no scorer module "other"/,
    ],
    [
      'options of a module',
      'input: 1\nscorers: [{ kind: module, module: known, options: 1 }]',
      'scorers/0/options',
      /no options/,
    ],
    ['resilience against nothing', 'input: 1\nscorers: [{ kind: resilience }]', 'scorers/0', /nothing is done/],
    [
      'faults that nobody looks at',
      'input: 1\nfaults: [{ kill: agent, at: start }]\nscorers: [{ kind: tokens, max: 1 }]',
      'scorers',
      /nothing looks at/,
    ],
    [
      'two kills at one point',
      'input: 1\nfaults: [{ kill: agent, at: start }, { kill: agent, at: start }]\nscorers: [{ kind: resilience }]',
      'faults/1/at',
      /already killed/,
    ],
    [
      'more kills than are survived',
      'input: 1\nfaults: [{ kill: agent, at: "step:1", times: 10 }, { kill: agent, at: "step:2", times: 10 }, { kill: agent, at: start }]\nscorers: [{ kind: resilience }]',
      'faults',
      /20 times/,
    ],
    [
      'a delay after an endless one',
      'input: 1\nfaults: [{ delay: model, ms: 5 }, { delay: model, ms: 6, times: 1 }]\nscorers: [{ kind: resilience }]',
      'faults/1',
      /no end/,
    ],
  ])('%s', (_name, scenario, pointer, message) => {
    const { faults } = reader.parse(suite(scenario))
    expect(faults.map((fault) => fault.pointer)).toEqual([`/spec/scenarios/0/${pointer}`])
    expect(faults[0]?.message).toMatch(message)
    expect(faults[0]?.line).toBeGreaterThan(8)
  })

  it.each([
    ['good that is no better than bad', { good: 0.8, bad: 0.8 }, 'good'],
    ['a bound under which nothing can pass', { maxSamples: 17 }, 'maxSamples'],
  ])('%s', (_name, given, pointer) => {
    const gate = { kind: 'sequential', good: 0.95, bad: 0.8, alpha: 0.05, beta: 0.05, maxSamples: 18, ...given }
    const text = suite('input: 1\nscorers: [{ kind: tokens, max: 1 }]')
    const { faults } = reader.parse(text.replace('{ kind: thresholds, passRate: 0.9 }', JSON.stringify(gate)))
    expect(faults.map((fault) => fault.pointer)).toEqual([`/spec/gate/${pointer}`])
  })

  it('of ids that stand twice, and of live scorers without a workspace', () => {
    const twice =
      suite('input: 1\nscorers: [{ kind: tokens, max: 1 }]') +
      `    - { id: one, input: 2, scorers: [{ kind: tokens, max: 1 }] }\n`
    expect(reader.parse(twice).faults).toMatchObject([{ pointer: '/spec/scenarios/1/id', line: 11 }])
    const live =
      '  live: { sample: 0.1, rule: { kind: thresholds, passRate: 0.5 }, scorers: [{ kind: file-exists, file: a }] }\n'
    expect(reader.parse(suite('input: 1\nscorers: [{ kind: tokens, max: 1 }]', live)).faults).toMatchObject([
      { pointer: '/spec/live/scorers/0', message: expect.stringContaining('production') as string },
    ])
  })
})

it('faults of a JSON body have pointers and no lines', () => {
  const { faults } = reader.read({ apiVersion: 'hypercode/v1', kind: 'Suite', metadata: { name: 'a' }, spec: {} })
  expect(faults.length).toBeGreaterThan(0)
  expect(faults.every(({ line }) => line === undefined)).toBe(true)
})

it('the suite of the documentation is sound', () => {
  const guide = readFileSync(new URL('../SUITES.md', import.meta.url), 'utf8')
  const [, example = ''] = /```yaml\n([^]*?)```/.exec(guide) ?? []
  expect(reader.parse(example).faults).toEqual([])
})
