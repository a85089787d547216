import type { AuditReport } from '@hypercode/contracts'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { auditRepository } from '../src/audit/index.ts'
import { HYPERCODE_V2 } from './support/hypercode-v2.ts'
import { dedent, faultsOf, withRepository } from './support/repository.ts'
import type { Files } from './support/repository.ts'

/** Audits and expects a whole report, in which no file made an audit stumble. */
async function expectSound(files: Files): Promise<AuditReport> {
  return await withRepository(files, async (root) => {
    const report = await auditRepository(root)
    expect(report.skippedBy).not.toHaveProperty('not analysable')
    expect(faultsOf(report)).toEqual([])
    return report
  })
}

const NAMES = [
  'a.py',
  'a.ts',
  'a.tsx',
  'a.js',
  'a.yaml',
  'a.json',
  'a.toml',
  'a.ini',
  '.env',
  'Dockerfile',
  'a.md',
  'a.pem',
  'package.json',
]

describe('no file can stop an audit', () => {
  test('random bytes', async () => {
    const bytes = fc.uint8Array({ maxLength: 600 })
    await fc.assert(
      fc.asyncProperty(fc.array(bytes, { minLength: NAMES.length, maxLength: NAMES.length }), async (contents) => {
        await expectSound(Object.fromEntries(NAMES.map((name, index) => [name, Buffer.from(contents[index] ?? [])])))
      }),
      { numRuns: 40 },
    )
  })

  test('random text of the words that the audits look for', async () => {
    const word = fc.constantFrom(
      'from fastapi import FastAPI\n',
      '@app.post("/x")\n',
      'def f(',
      'class A(',
      'try:\n',
      'except Exception:\n',
      'pass\n',
      '    ',
      'JWT_SECRET',
      ' = ',
      '"changethis"',
      'process.env.',
      ' ?? ',
      "'dev'",
      "import express from 'express'\n",
      'app.post(',
      '.catch(() => {})',
      'new Pool(',
      '@Controller()\n',
      'export default ',
      'fp(',
      'console.log(',
      '{',
      '}',
      '(',
      ')',
      '[',
      ']',
      ',',
      '`${',
      '# hypercode-audit-ignore',
      '://u:p@h',
      ':',
      '\n',
    )
    await fc.assert(
      fc.asyncProperty(fc.array(word, { maxLength: 80 }), async (words) => {
        const text = words.join('')
        await expectSound(Object.fromEntries(NAMES.map((name) => [name, Buffer.from(text)])))
      }),
      { numRuns: 60 },
    )
  })

  test('sources that end anywhere', async () => {
    const sources = Object.entries(HYPERCODE_V2).map(([path, text]) => [path, dedent(String(text))] as const)
    await fc.assert(
      fc.asyncProperty(fc.double({ min: 0, max: 1, noNaN: true }), async (share) => {
        await expectSound(
          Object.fromEntries(
            sources.map(([path, text]) => [path, Buffer.from(text.slice(0, Math.floor(text.length * share)))]),
          ),
        )
      }),
      { numRuns: 25 },
    )
  })

  test.each([
    ['brackets', 'x = ' + '('.repeat(399)],
    ['blocks', Array.from({ length: 390 }, (_, n) => `${' '.repeat(n)}if x:`).join('\n')],
    ['chains', `x = a${'.b()'.repeat(20_000)}`],
    ['arrows', `const x = ${'a => '.repeat(5_000)}1`],
    ['else-ifs', `if (a) {}${' else if (a) {}\n'.repeat(5_000)}`],
    ['strings', `x = ${'"a" '.repeat(5_000)}`],
    ['unary signs', `x = ${'-'.repeat(9_000)}1`],
    ['functions in functions', `${'function f() {\n'.repeat(300)}${'}\n'.repeat(300)}`],
    ['calls in calls', `app.post('/x', ${'f('.repeat(300)}${')'.repeat(300)})`],
    ['imports of itself', 'from .a import router\nfrom .a import *\nrouter.include_router(router)\napp = app\n'],
  ])('extreme %s end in good time', async (_, text) => {
    await expectSound({ 'a.py': text, 'a.ts': text, 'a.js': text })
  })

  test('modules that import and mount each other in circles', async () => {
    const report = await expectSound({
      'a.py':
        'from fastapi import APIRouter, Depends\nfrom b import other, dep_b\nrouter = APIRouter(dependencies=[Depends(dep_b)])\nother.include_router(router)\n@router.post("/x")\ndef x(): pass\n',
      'b.py':
        'from fastapi import APIRouter, Depends\nfrom a import router\nother = APIRouter()\nrouter.include_router(other)\ndef dep_b(x=Depends(dep_b)): pass\n@other.post("/y")\ndef y(): pass\n',
      'c.ts':
        "export * from './d'\nexport { x } from './d'\nimport { r } from './d'\nimport { Router } from 'express'\nexport const q = Router()\nq.use('/r', r)\nq.post('/q', h)\n",
      'd.ts':
        "export * from './c'\nexport { x } from './c'\nimport { q } from './c'\nimport { Router } from 'express'\nexport const r = Router()\nr.use('/q', q)\nr.post('/r', h)\n",
    })
    expect(report.findings.map(({ file }) => file).toSorted()).toEqual(['a.py', 'b.py', 'c.ts', 'd.ts'])
  })
})
