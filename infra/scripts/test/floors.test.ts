import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { importsOf } from '../imports-of.ts'

const SCRIPT = fileURLToPath(new URL('../floors.ts', import.meta.url))

/** A tree of packages: path of the package to its package.json, path of a file to its text. */
function treeOf(files: Record<string, object | string>): string {
  const root = mkdtempSync(path.join(tmpdir(), 'hc-floors-'))
  onTestFinished(() => rmSync(root, { recursive: true, force: true }))
  for (const [name, content] of Object.entries(files)) {
    const file = path.join(root, typeof content === 'string' ? name : `${name}/package.json`)
    mkdirSync(path.dirname(file), { recursive: true })
    writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content))
  }
  return root
}

const pack = (name: string, floor: number | undefined, more: object = {}): object => ({
  name: `@hypercode/${name}`,
  ...(floor === undefined ? {} : { hypercode: { floor } }),
  ...more,
})

function floors(root: string): { status: number | null; lines: string[] } {
  const run = spawnSync(process.execPath, [SCRIPT, root], { encoding: 'utf8' })
  return { status: run.status, lines: `${run.stdout}${run.stderr}`.trim().split('\n') }
}

// Goal: each rule of the floors stops what it forbids and nothing else. Method: one small tree per rule.
describe('floors', () => {
  test('accepts a tree that keeps them', () => {
    const root = treeOf({
      'packages/a': pack('a', 0, { devDependencies: { '@hypercode/testkit': 'workspace:*' } }),
      'packages/a/src/index.ts': "import path from 'node:path'\nexport { b } from './b.ts'\n",
      'packages/a/test/a.test.ts': "import { test } from '@hypercode/testkit'\nimport { x } from '../src/index.ts'\n",
      'packages/b': pack('b', 1, { dependencies: { '@hypercode/a': 'workspace:*' } }),
      'packages/b/src/index.ts': "import type { A } from '@hypercode/a'\n// import '@hypercode/nothing'\n",
      'packages/testkit': pack('testkit', 3, { dependencies: { '@hypercode/b': 'workspace:*' } }),
      'packages/e2e': pack('e2e', 5, { dependencies: { '@hypercode/testkit': 'workspace:*' } }),
    })
    expect(floors(root)).toEqual({ status: 0, lines: ['floors: 4 packages, every dependency stands lower'] })
  })

  test.each<[string, Record<string, object | string>, string]>([
    [
      'a dependency on the same floor',
      { 'packages/a': pack('a', 1, { dependencies: { '@hypercode/b': '*' } }), 'packages/b': pack('b', 1) },
      '@hypercode/a (floor 1) must not depend on @hypercode/b (floor 1)',
    ],
    [
      'a development dependency on a higher floor',
      { 'packages/a': pack('a', 1, { devDependencies: { '@hypercode/b': '*' } }), 'packages/b': pack('b', 2) },
      '@hypercode/a (floor 1) must not depend on @hypercode/b (floor 2)',
    ],
    [
      'a package without a floor',
      { 'packages/a': pack('a', undefined) },
      'packages/a/package.json names no floor: add "hypercode": { "floor": 0 to 9 }',
    ],
    [
      'the testkit in a product',
      {
        'apps/a': pack('a', 4, { dependencies: { '@hypercode/testkit': '*' } }),
        'packages/testkit': pack('testkit', 3),
      },
      '@hypercode/a must name @hypercode/testkit as a devDependency only',
    ],
    [
      'an import that is not declared',
      { 'packages/a': pack('a', 1), 'packages/a/src/x.ts': "export const later = () => import('@hypercode/b/deep')\n" },
      'packages/a/src/x.ts imports @hypercode/b, which its package.json does not declare',
    ],
    [
      'a source that imports a development dependency',
      {
        'packages/a': pack('a', 1, { devDependencies: { '@hypercode/testkit': '*' } }),
        'packages/a/src/x.ts': "import {\n  test,\n} from '@hypercode/testkit'\n",
      },
      'packages/a/src/x.ts imports @hypercode/testkit, which its package.json declares for development only',
    ],
    [
      'an app that imports an app',
      {
        'apps/a': pack('a', 5, { dependencies: { '@hypercode/b': '*' } }),
        'apps/a/src/x.ts': "import '@hypercode/b'\n",
        'apps/b': pack('b', 4),
      },
      'apps/a/src/x.ts imports the app @hypercode/b: move what both need a floor down',
    ],
    [
      'an import of another package by its path',
      { 'apps/a': pack('a', 4), 'apps/a/test/x.test.ts': "import { x } from '../../b/src/x.ts'\n" },
      'apps/a/test/x.test.ts reaches out of its package: ../../b/src/x.ts',
    ],
  ])('refuses %s', (_, files, fault) => {
    const { status, lines } = floors(treeOf(files))
    expect([status, lines]).toEqual([1, [fault, '1 breach of the floors']])
  })

  test('lets tests, and only tests, use what the root declares for all of them', () => {
    const root = treeOf({
      '.': { name: 'root', devDependencies: { '@hypercode/testkit': '*' } },
      'packages/a': pack('a', 0),
      'packages/a/test/a.test.ts': "import { test } from '@hypercode/testkit/tools'\n",
      'packages/a/src/a.ts': "import { test } from '@hypercode/testkit'\n",
      'packages/testkit': pack('testkit', 3),
    })
    expect(floors(root).lines).toEqual([
      'packages/a/src/a.ts imports @hypercode/testkit, which its package.json does not declare',
      '1 breach of the floors',
    ])
  })

  test('prints every breach at once', () => {
    const root = treeOf({
      'packages/a': pack('a', 0, { dependencies: { '@hypercode/b': '*' } }),
      'packages/b': pack('b', 2, { dependencies: { '@hypercode/c': '*' } }),
      'packages/c': pack('c', 2),
    })
    expect(floors(root).lines).toHaveLength(3)
  })

  test('hold in this repository', () => {
    const { status, lines } = floors(fileURLToPath(new URL('../../..', import.meta.url)))
    expect(lines.slice(0, status === 0 ? 0 : undefined)).toEqual([])
  })
})

test('importsOf reads every form and no code that is only talked about', () => {
  const source = [
    "import a from 'a'",
    'import type { B } from "b"',
    "import 'c'",
    "export * from 'd'",
    "import {\n  e,\n} from 'e'",
    "const f = await import('f')",
    "// import g from 'g'",
    "/*\nimport h from 'h'\n*/",
    "`\nimport i from 'i'\n`",
    'const j = "import j from \'j\'"',
  ].join('\n')
  expect(importsOf(source).toSorted()).toEqual(['a', 'b', 'c', 'd', 'e', 'f'])
})
