import { chmod, mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { RootError, takeInventory } from '../src/audit/index.ts'
import { roleOf } from '../src/audit/inventory/file-role.ts'
import { parseIndex } from '../src/audit/inventory/git-index.ts'
import { languageOf } from '../src/audit/inventory/languages.ts'
import { withRepository } from './support/repository.ts'
import type { Files } from './support/repository.ts'

async function pathsOf(files: Files, prepare?: (root: string) => Promise<void>): Promise<string[]> {
  return await withRepository(files, async (root) => {
    await prepare?.(root)
    return (await takeInventory(root)).files.map(({ path }) => path)
  })
}

describe('what is read', () => {
  test.each([
    ['a.py', 'python'],
    ['a.mts', 'typescript'],
    ['a.tsx', 'tsx'],
    ['a.jsx', 'javascript'],
    ['.env', 'env'],
    ['.env.production', 'env'],
    ['Dockerfile', 'dockerfile'],
    ['Dockerfile.dev', 'dockerfile'],
    ['values.yml', 'yaml'],
    ['server.key', 'text'],
    ['package-lock.json', undefined],
    ['logo.png', undefined],
    ['LICENSE', undefined],
  ])('%s is %s', (name, language) => {
    expect(languageOf(name)).toBe(language)
  })

  test.each([
    ['app/main.py', 'source'],
    ['app/tests/test_main.py', 'test'],
    ['app/main_test.py', 'test'],
    ['conftest.py', 'test'],
    ['src/app.spec.ts', 'test'],
    ['test/fixtures/bad/main.py', 'test'],
    ['scripts/load.py', 'script'],
    ['tools/x.ts', 'script'],
    ['src/tools/x.ts', 'source'],
    ['manage.py', 'script'],
    ['app/tasks.py', 'source'],
    ['app/email_template.py', 'source'],
    ['app/defaults.py', 'source'],
    ['alembic/env.py', 'migration'],
    ['examples/a.ts', 'example'],
    ['.env.example', 'example'],
    ['config.example.yaml', 'example'],
    ['docs/setup.md', 'docs'],
    ['.github/workflows/ci.yml', 'ci'],
    ['vite.config.ts', 'build'],
  ])('%s is %s', (path, role) => {
    expect(roleOf(path, '')).toBe(role)
  })

  test('a shebang makes a script', () => {
    expect(roleOf('app/run.py', '#!/usr/bin/env python')).toBe('script')
  })

  test('a front end is told from a service by the nearest package', async () => {
    const files = {
      'package.json': '{ "name": "all", "devDependencies": { "vite": "8" } }',
      'api/package.json': '{ "name": "api", "dependencies": { "fastify": "5" } }',
      'api/src/a.ts': '',
      'web/package.json': '{ "name": "web", "dependencies": { "react": "19" } }',
      'web/src/a.ts': '',
      'api/src/page.tsx': '',
      'broken/package.json': '{',
    }
    await withRepository(files, async (root) => {
      const inventory = await takeInventory(root)
      const roles = Object.fromEntries(inventory.files.map(({ path, role }) => [path, role]))
      expect(roles).toMatchObject({
        'api/src/a.ts': 'source',
        'web/src/a.ts': 'browser',
        'api/src/page.tsx': 'browser',
      })
    })
  })
})

describe('what is left out', () => {
  test('vendored, built and ignored folders', async () => {
    const files = {
      'a.py': '',
      'node_modules/x/index.js': '',
      'dist/a.js': '',
      'env/pyvenv.cfg': '',
      'env/lib/a.py': '',
      '.venv/a.py': '',
      '.idea/a.json': '{}',
      '.github/a.yml': '',
    }
    expect(await pathsOf(files)).toEqual(['.github/a.yml', 'a.py'])
  })

  test('what .gitignore says, in each folder, with exceptions', async () => {
    const files = {
      '.gitignore': '*.log.py\n/generated/\nsecret/*\n!secret/keep.py\n',
      'a.py': '',
      'a.log.py': '',
      'generated/a.py': '',
      'sub/generated/a.py': '',
      'secret/a.py': '',
      'secret/keep.py': '',
      'sub/.gitignore': '!b.log.py\nlocal.py\n',
      'sub/b.log.py': '',
      'sub/local.py': '',
      'local.py': '',
    }
    expect(await pathsOf(files)).toEqual(['a.py', 'local.py', 'secret/keep.py', 'sub/b.log.py', 'sub/generated/a.py'])
  })

  test('the ignore files above the root count, unless they ignore the root itself', async () => {
    const files = { '.gitignore': '*.local.py\n/outside/\n', 'app/a.py': '', 'app/b.local.py': '', 'outside/c.py': '' }
    await withRepository(files, async (root) => {
      await mkdir(join(root, '.git'))
      const under = async (dir: string): Promise<string[]> =>
        (await takeInventory(join(root, dir))).files.map(({ path }) => path)
      expect(await under('app')).toEqual(['a.py'])
      expect(await under('outside')).toEqual(['c.py'])
    })
  })

  test('links, also those that go in circles', async () => {
    await withRepository({ 'a/b.py': '' }, async (root) => {
      await symlink(root, join(root, 'a/loop'))
      await symlink(join(root, 'a/b.py'), join(root, 'c.py'))
      await symlink('/nowhere', join(root, 'gone.py'))
      const inventory = await takeInventory(root)
      expect(inventory.files.map(({ path }) => path)).toEqual(['a/b.py'])
      expect(inventory.skippedBy).toEqual({ 'symbolic link': 3 })
    })
  })

  test('each with its reason', async () => {
    const files = {
      'binary.py': Buffer.from([1, 0, 2]),
      'latin1.py': Buffer.from([0x78, 0xe4, 0x0a]),
      'large.py': 'x = 1\n'.repeat(200_000),
      'min.js': `a(${'1,'.repeat(12_000)}1)`,
      'app.min.js': 'a()',
      'index-C8qwgKWF.js': 'a()',
      'bundle.js': `${'b('.padEnd(400, 'x')})\n`.repeat(40),
      'generated.py': '# Code generated by protoc. DO NOT EDIT.\n',
      'deep.py': `x = ${'['.repeat(1000)}${']'.repeat(1000)}\n`,
      'types.d.ts': '',
      'picture.png': '',
      'fine.py': '',
    }
    await withRepository(files, async (root) => {
      const inventory = await takeInventory(root)
      expect(inventory.files.map(({ path }) => path)).toEqual(['fine.py'])
      expect(inventory.skippedBy).toEqual({
        binary: 1,
        generated: 1,
        minified: 4,
        'nested too deeply': 1,
        'not UTF-8': 1,
        'not source or configuration': 1,
        'too large': 1,
        'type declarations': 1,
      })
    })
  })

  test('what is over a limit', async () => {
    const files = Object.fromEntries(Array.from({ length: 10 }, (_, n) => [`a${n}.py`, '']))
    await withRepository({ ...files, 'x/y/z/deep.py': '' }, async (root) => {
      const few = await takeInventory(root, { limits: { maxFiles: 3 } })
      expect([few.files.length, few.skippedBy]).toEqual([3, { 'file limit': 8 }])
      const flat = await takeInventory(root, { limits: { maxDepth: 1 } })
      expect(flat.skippedBy).toEqual({ 'folder too deep': 1 })
      const short = await takeInventory(root, { limits: { maxEntries: 5 } })
      expect([short.files.length, short.skippedBy]).toEqual([5, { 'entry limit': 1 }])
    })
  })

  test.skipIf(process.getuid?.() === 0)('what cannot be read', async () => {
    await withRepository({ 'a.py': '', 'b/c.py': '' }, async (root) => {
      await chmod(join(root, 'a.py'), 0)
      await chmod(join(root, 'b'), 0)
      const inventory = await takeInventory(root)
      await chmod(join(root, 'b'), 0o700)
      expect([inventory.files.length, inventory.skippedBy]).toEqual([0, { 'not readable': 2 }])
    })
  })
})

describe('the root', () => {
  test('that is missing, or a file, is refused', async () => {
    await withRepository({ 'a.py': '' }, async (root) => {
      await expect(takeInventory(join(root, 'gone'))).rejects.toThrow(RootError)
      await expect(takeInventory(join(root, 'a.py'))).rejects.toThrow(RootError)
    })
  })

  test('that is empty has no files', async () => {
    expect(await pathsOf({})).toEqual([])
  })

  test('may vanish while it is walked', async () => {
    const files = Object.fromEntries(Array.from({ length: 120 }, (_, n) => [`d${n}/a.py`, '']))
    await withRepository(files, async (root) => {
      const inventory = await takeInventory(root, { onProgress: async () => await rm(root, { recursive: true }) })
      expect(inventory.files).toHaveLength(50)
      expect(inventory.skippedBy).toEqual({ 'not readable': 70 })
    })
  })

  test('is left as soon as the signal says so', async () => {
    const files = Object.fromEntries(Array.from({ length: 200 }, (_, n) => [`d${n}/a.py`, '']))
    await withRepository(files, async (root) => {
      const controller = new AbortController()
      const reason = new Error('enough')
      const taking = takeInventory(root, { signal: controller.signal, onProgress: () => controller.abort(reason) })
      await expect(taking).rejects.toBe(reason)
    })
  })
})

describe('the index of git', () => {
  test('that is cut short or made up never does more than fail', () => {
    const head = Buffer.from('DIRC')
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 400 }),
        fc.integer({ min: 0, max: 5 }),
        fc.nat(20),
        (bytes, version, count) => {
          const numbers = Buffer.alloc(8)
          numbers.writeUInt32BE(version, 0)
          numbers.writeUInt32BE(count, 4)
          try {
            expect(parseIndex(Buffer.concat([head, numbers, bytes])).length).toBeLessThanOrEqual(count)
          } catch (error) {
            expect(error).toBeInstanceOf(RangeError)
          }
        },
      ),
    )
  })

  test('of a repository that does not know git is none', async () => {
    await withRepository({ '.gitignore': '.env\n', '.env': 'API_KEY=x\n', '.git/index': 'no index' }, async (root) => {
      await writeFile(join(root, 'a.py'), '')
      expect((await takeInventory(root)).skippedBy).toEqual({ 'ignored by git': 1, 'not source or configuration': 1 })
    })
  })
})
