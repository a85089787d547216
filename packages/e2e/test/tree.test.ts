import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { violationsIn } from './source-rules.ts'

const repository = fileURLToPath(new URL('../../../', import.meta.url))
const SKIPPED =
  /(?:^|\/)(?:node_modules|dist|fixtures|\.hypercode|\.turbo|coverage)(?:\/|$)|^packages\/base-agent\/publish\//
const files = globSync(['{apps,packages,infra}/**/*.{ts,mjs}', '*.{ts,mjs}'], {
  cwd: repository,
  exclude: (path) => SKIPPED.test(path.replaceAll('\\', '/')),
}).map((path) => path.replaceAll('\\', '/'))

// Goal: what the linter cannot say is held, too.
// Method: the syntax tree of every source file of the repository is searched.
test('no source file breaks a rule of the house', () => {
  expect(files.length).toBeGreaterThan(100)
  expect(files).toContain('packages/e2e/test/tree.test.ts')
  const violations = files.flatMap((file) => violationsIn(file, readFileSync(join(repository, file), 'utf8')))
  expect(violations.map(({ file, line, rule, code }) => `${file}:${line} ${rule}: ${code}`)).toEqual([])
})

test('tests have a tsconfig next to them, without which the linter does not know their types', () => {
  const folders = new Set(
    files.filter((file) => /^(?:apps|packages)\/[^/]+\/test\//.test(file)).map((file) => file.split('/', 3).join('/')),
  )
  const without = [...folders].filter((folder) => !existsSync(join(repository, folder, 'tsconfig.json')))
  expect(without).toEqual([])
  for (const folder of folders) {
    const text = readFileSync(join(repository, folder, 'tsconfig.json'), 'utf8')
    expect(text, dirname(folder)).toContain('../../../tsconfig.check.json')
  }
})

describe('each rule finds what it is for', () => {
  const inSource = (code: string, file = 'packages/http/src/a.ts'): string[] =>
    violationsIn(file, code).map(({ rule }) => rule)

  test.each([
    ['try { a() } catch {}', 'a catch handles, rethrows or counts'],
    ['try { a() } catch (error) { /* never mind */ }', 'a catch handles, rethrows or counts'],
    ['try { a() } catch {\n  // the other side is gone\n} finally { b() }', 'a catch handles, rethrows or counts'],
    ['void a().catch(() => {})', 'a rejection is not thrown away'],
    ['await a().catch((error) => { /* fine */ })', 'a rejection is not thrown away'],
    ['await a().catch(function () {})', 'a rejection is not thrown away'],
    ['await a().catch(() => undefined)', 'a rejection is not thrown away'],
    ['await a()\n  .finally(b)\n  .catch(async () => {})', 'a rejection is not thrown away'],
    ['a().then(b, () => {})', 'a rejection is not thrown away'],
    ['a().catch(noop)', 'a rejection is not thrown away'],
    ["const port = process.env['PORT']", 'process.env is read in server.ts'],
    ['const all = { ...process.env }', 'process.env is read in server.ts'],
    ["const all = process['env']", 'process.env is read in server.ts'],
    ['const { env, pid } = process', 'process.env is read in server.ts'],
    ['const { env: all } = process', 'process.env is read in server.ts'],
    ['const all = globalThis.process.env', 'process.env is read in server.ts'],
    ["import { env } from 'node:process'", 'process.env is read in server.ts'],
    ["import { a } from './a'", 'a relative import names its file'],
    ["export { a } from '../a.js'", 'a relative import names its file'],
    ['// oxlint-disable-next-line no-console\na()', 'a rule is switched off with a reason'],
    ['/* eslint-disable */\na()', 'a rule is switched off with a reason'],
  ])('%s', (code, rule) => {
    expect(inSource(code)).toEqual([rule])
  })

  test.each([
    'try { a() } catch (error) { log.warn({ err: error }) }',
    'try { a() } catch { return undefined }',
    'await a().catch((error: unknown) => log.warn({ err: error }))',
    'await a().then(() => {}, (error: unknown) => count(error))',
    "const text = 'a().catch(() => {}) and process.env'",
    '// process.env is not read here, and a catch {} neither',
    "// oxlint-disable-next-line node/no-process-env -- the person's PATH decides\nconst all = process.env",
    'await run(program).then(() => true, () => false)',
    '/** `oxlint-disable` needs a reason. */\na()',
    'const env = config.env; const { environment } = process',
    "import { a } from './a.ts'\nimport type { B } from '@hypercode/contracts'\nimport schema from '../schema.json'",
    '// oxlint-disable-next-line no-console -- the prompt of a script\na()',
  ])('%s is fine', (code) => {
    expect(inSource(code)).toEqual([])
  })

  test.each([
    'apps/gateway/src/server.ts',
    'packages/db/src/migrate-command.ts',
    'infra/dev/src/start.ts',
    'packages/testkit/src/global-setup.ts',
    'apps/gateway/test/app.test.ts',
  ])('%s may read process.env', (file) => {
    expect(inSource("const port = process.env['PORT']", file)).toEqual([])
  })

  test.each(['apps/gateway/src/app.ts', 'packages/db/src/sub/migrate-command.ts', 'apps/gateway/src/my-server.ts'])(
    '%s may not read process.env',
    (file) => {
      expect(inSource("const port = process.env['PORT']", file)).toEqual(['process.env is read in server.ts'])
    },
  )
})
