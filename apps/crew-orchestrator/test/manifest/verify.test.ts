import { expect, test } from 'vitest'
import { parseManifest } from '../../src/manifest/parse.ts'
import { compile } from '../../src/manifest/compile.ts'

/** One task, whose `verify` stands in line 8. */
const manifest = (verify: string, task = 'member: worker'): string => `apiVersion: hypercode/v1
kind: Crew
metadata: { name: demo }
schemas: { Build: { type: object } }
spec:
  members: [{ id: worker, skill: work }]
  tasks:
    - { id: a, ${task}, verify: ${verify} }
`

test.for<[string, string, string, string]>([
  ['an unknown kind', '{ kind: oracle }', '/kind', 'must be one of schema, agent, command, human'],
  ['no skill', '{ kind: agent }', '', '"skill" is missing'],
  ['no command', '{ kind: command, command: [] }', '/command', 'fewer than 1'],
  ['no round at all', '{ kind: schema, schema: {}, maxRounds: 0 }', '/maxRounds', '>= 1'],
  ['no schema', '{ kind: schema }', '', 'exactly one of "schema" and "schemaRef"'],
  ['two schemas', '{ kind: schema, schema: {}, schemaRef: "#/schemas/Build" }', '', 'exactly one of'],
  ['a schema that is not there', '{ kind: schema, schemaRef: "#/schemas/Other" }', '/schemaRef', 'names no schema'],
  ['a schema that is none', '{ kind: schema, schema: { type: thing } }', '/schema', 'is no schema'],
  ['nobody who could pass it', '{ kind: human, approvers: [lead], quorum: 2 }', '', 'only 1 approvers'],
  [
    'an input of other tasks',
    '{ kind: agent, skill: r, input: "${tasks.b.output}" }',
    '/input',
    '"mission" and "task"',
  ],
  [
    'a member of its own that is not there',
    '{ kind: agent, skill: r, input: "${task.id}" }',
    '/input',
    'key, input, output',
  ],
  ['an input without an end', '{ kind: agent, skill: r, input: ["${task.output"] }', '/input/0', 'has no end'],
])('%s is told with its place', ([, verify, pointer, words]) => {
  const { faults } = parseManifest(manifest(verify))
  expect(faults).toEqual([
    expect.objectContaining({
      pointer: `/spec/tasks/0/verify${pointer}`,
      line: 8,
      message: expect.stringContaining(words),
    }),
  ])
})

test('what a crew does is verified within it', () => {
  const { faults } = parseManifest(manifest('{ kind: schema, schema: {} }', 'crew: other'))
  expect(faults).toMatchObject([{ pointer: '/spec/tasks/0/verify', message: 'has no meaning beside "crew"' }])
})

test.for<[string, object]>([
  ['{ kind: schema, schemaRef: "#/schemas/Build" }', { kind: 'schema', schema: { type: 'object' }, maxRounds: 3 }],
  ['{ kind: agent, skill: review, maxRounds: 5 }', { kind: 'agent', skill: 'review', maxRounds: 5 }],
  ['{ kind: command, command: [make] }', { kind: 'command', skill: 'code.verify', command: ['make'], maxRounds: 3 }],
  [
    '{ kind: human, approvers: [lead], deadline: 1h }',
    {
      kind: 'human',
      maxRounds: 3,
      terms: {
        title: 'Accept the output of a?',
        approvers: ['lead'],
        quorum: 1,
        deadlineMs: 3_600_000,
        onTimeout: 'reject',
        escalate: null,
      },
    },
  ],
])('%s is taken with its defaults', ([verify, expected]) => {
  const read = parseManifest(manifest(verify))
  expect(read.faults).toEqual([])
  if (read.manifest === undefined) throw new Error('no manifest')
  expect(compile(read.manifest).tasks[0]?.policy?.verify).toEqual(expected)
})
