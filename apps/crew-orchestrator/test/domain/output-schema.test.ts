import { cpuMsOf } from '@hypercode/testkit/tools'
import { describe, expect, test } from 'vitest'
import { SCHEMA_CHARS_MAX, SCHEMA_PARTS_MAX, outputFault, schemaFault } from '../../src/domain/output-schema.ts'

const build = {
  type: 'object',
  properties: { passed: { type: 'boolean' }, files: { type: 'array', items: { $ref: '#/$defs/file' } } },
  required: ['passed'],
  $defs: { file: { type: 'string', pattern: '^src/' } },
}
const fault = (output: unknown, schema: object = build): string | undefined =>
  outputFault(schema, output, JSON.stringify(output).length)

test('what fits has no fault, what does not is named with its place', () => {
  expect(fault({ passed: true, files: ['src/a.ts'] })).toBeUndefined()
  expect(fault({ passed: true, files: ['src/a.ts', 'b.ts'] })).toContain('/files/1')
  expect(fault({})).toContain('passed')
})

describe('a schema is refused', () => {
  test.for([
    ['that is none', { type: 'thing' }, 'must be equal to one of'],
    ['with a word that nobody knows', { typ: 'object' }, 'unknown keyword'],
    ['that refers to somewhere else', { $ref: 'https://example.com/x' }, 'not within it'],
    ['that refers to nothing', { $ref: '#/$defs/x' }, 'not within it'],
    [
      'that leads back to itself',
      { allOf: [{ $ref: '#/$defs/x' }], $defs: { x: { $ref: '#/$defs/x' } } },
      'leads back',
    ],
    ['that names its parts in other ways', { $id: 'x' }, 'write references as $ref'],
    ['that is too long', { description: 'x'.repeat(SCHEMA_CHARS_MAX) }, 'characters'],
  ] as const)('%s', ([, schema, words]) => {
    expect(schemaFault(schema)).toContain(words)
  })

  test('that is small and unfolds into billions of parts, before anything is checked with it', () => {
    const names = Array.from({ length: 40 }, (_, index) => `s${index}`)
    const $defs = Object.fromEntries(
      names.map((name, index) => {
        const next = { $ref: `#/$defs/s${index + 1}` }
        return [name, index === 39 ? { type: 'string' } : { allOf: [next, next] }]
      }),
    )
    expect(schemaFault({ $ref: '#/$defs/s0', $defs })).toContain(`more than ${SCHEMA_PARTS_MAX} parts`)
  })
})

test('a hostile pattern or a huge output holds nobody up', () => {
  const schema = { items: { anyOf: Array.from({ length: 400 }, () => ({ type: 'string', maxLength: 1 })) } }
  const huge = Array.from({ length: 300_000 }, () => 1)
  const tookMs = cpuMsOf(() => {
    expect(fault(`${'a'.repeat(50_000)}!`, { type: 'string', pattern: '^(a+)+$' })).toContain('pattern')
    expect(fault(huge, schema)).toContain('too large')
  })
  expect(tookMs).toBeLessThan(3000)
})
