import { describe, expect, it } from 'vitest'
import { score } from '../src/scoring/index.ts'
import type { Scorer } from '@hypercode/contracts'
import { evidenceOf, tools } from './support/evidence.ts'

const OUTPUT = {
  summary: 'Fixed 2 files',
  files: [
    { path: 'a.ts', lines: 3 },
    { path: 'b.ts', lines: 9 },
  ],
  'odd-name': null,
}

const passes = async (scorer: Scorer, output: unknown = OUTPUT, files: Record<string, string> = {}): Promise<boolean> =>
  (await score(evidenceOf({ output, files }), scorer, tools())).passed

describe('scorers of what an agent said', () => {
  it('compares whole values, whatever the order of their keys', async () => {
    expect(await passes({ kind: 'equals', value: { b: [1, 2], a: null } }, { a: null, b: [1, 2] })).toBe(true)
    expect(await passes({ kind: 'equals', value: { b: [2, 1], a: null } }, { a: null, b: [1, 2] })).toBe(false)
    expect(await passes({ kind: 'equals', at: 'files[1].lines', value: 9 })).toBe(true)
    expect(await passes({ kind: 'equals', at: 'odd-name', value: null })).toBe(true)
  })

  it('finds texts and patterns in texts, and in the JSON of what is no text', async () => {
    expect(await passes({ kind: 'contains', at: 'summary', text: 'fixed', ignoreCase: true })).toBe(true)
    expect(await passes({ kind: 'contains', at: 'summary', text: 'fixed' })).toBe(false)
    expect(await passes({ kind: 'contains', text: '"b.ts"' })).toBe(true)
    expect(await passes({ kind: 'regex', at: 'summary', pattern: '^Fixed \\d+ files$' })).toBe(true)
    expect(await passes({ kind: 'regex', at: 'summary', pattern: '^Fixed$' })).toBe(false)
  })

  it('reads JSONPath queries as lists, and knows whether something is there', async () => {
    expect(await passes({ kind: 'path', at: '$.files[?@.lines > 5].path', value: ['b.ts'] })).toBe(true)
    expect(await passes({ kind: 'path', at: 'files[2]' })).toBe(false)
    expect(await passes({ kind: 'path', at: 'files[2]', exists: false })).toBe(true)
    expect(await passes({ kind: 'path', at: '$.files[?@.lines > 50]', exists: false })).toBe(true)
    expect(await passes({ kind: 'path', at: '$.files[?@.lines > 5]', exists: false })).toBe(false)
    expect(await passes({ kind: 'path', at: `$.files[?match(@.path, 'a[.].*')].path`, value: ['a.ts'] })).toBe(true)
  })

  it('checks a JSON schema, and says what does not fit', async () => {
    const schema = { type: 'object', required: ['summary'], properties: { files: { type: 'array', maxItems: 1 } } }
    const patterns = { properties: { a: { pattern: '^x$' }, b: { pattern: '^y$' } } }
    expect(await passes({ kind: 'schema', schema: patterns }, { a: 'x', b: 'y' })).toBe(true)
    expect(await passes({ kind: 'schema', schema: patterns }, { a: 'x', b: 'x' })).toBe(false)
    const scored = await score(evidenceOf({ output: OUTPUT }), { kind: 'schema', schema }, tools())
    expect(scored).toMatchObject({ score: 0, passed: false, detail: expect.stringContaining('/files') as string })
    expect(await passes({ kind: 'schema', schema: { type: 'object', required: ['files'] } })).toBe(true)
  })

  it('looks into artifacts, as JSON or as text', async () => {
    const files = {
      'findings.json': '{"findings":[{"rule":"open-endpoint"}]}',
      'summary.md': '# Done',
      'bad.json': '{',
    }
    expect(
      await passes(
        { kind: 'path', artifact: 'findings.json', at: '$.findings[*].rule', value: ['open-endpoint'] },
        {},
        files,
      ),
    ).toBe(true)
    expect(await passes({ kind: 'contains', artifact: 'summary.md', text: '# Done' }, {}, files)).toBe(true)
    expect(await passes({ kind: 'contains', artifact: 'missing.md', text: '' }, {}, files)).toBe(false)
    expect(await passes({ kind: 'contains', artifact: 'bad.json', text: '{' }, {}, files)).toBe(false)
  })
})

describe('odd output is a 0 and not an error', () => {
  const kinds: Scorer[] = [
    { kind: 'equals', value: 1 },
    { kind: 'contains', at: 'files[0]', text: 'x' },
    { kind: 'regex', pattern: 'x' },
    { kind: 'schema', schema: { type: 'object', required: ['files'], properties: { files: { type: 'array' } } } },
    { kind: 'path', at: '$..path' },
  ]
  const odd: unknown[] = [
    undefined,
    null,
    '',
    [],
    0,
    { files: null },
    JSON.parse('{"__proto__":{"files":1}}'),
    'lone \ud800 half',
  ]
  it.each(kinds)('$kind', async (scorer) => {
    for (const output of odd) {
      const scored = await score(evidenceOf({ output }), scorer, tools())
      expect(scored).toMatchObject({ score: 0, passed: false })
      expect(scored.detail?.isWellFormed()).toBe(true)
    }
  })

  it('takes a time in proportion to the text, also for patterns that back-track elsewhere', async () => {
    const output = `${'a'.repeat(200_000)}!`
    expect(await passes({ kind: 'regex', pattern: '^(a+)+$' }, output)).toBe(false)
    expect(await passes({ kind: 'schema', schema: { type: 'string', pattern: '^(a+)+$' } }, output)).toBe(false)
    expect(await passes({ kind: 'path', at: `$[?search(@, '^(a+)+$')]` }, [output])).toBe(false)
    expect(
      await passes(
        { kind: 'schema', schema: { uniqueItems: true } },
        Array.from({ length: 50_000 }, (_, n) => ({ n })),
      ),
    ).toBe(true)
    expect(
      await passes({ kind: 'schema', schema: { uniqueItems: true } }, [
        { a: 1, b: 2 },
        { b: 2, a: 1 },
      ]),
    ).toBe(false)
  })
})
