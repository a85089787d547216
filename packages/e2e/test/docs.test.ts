import { execFile } from 'node:child_process'
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'

const ROOT = path.resolve(import.meta.dirname, '../../..')
const documents = globSync(['*.md', '{apps,packages}/*/*.md', 'infra/**/*.md'], {
  cwd: ROOT,
  exclude: (name) => name.includes('node_modules') || name.includes('publish'),
})
const scripts = Object.keys(
  (JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')) as { scripts: object }).scripts,
)
const run = promisify(execFile)

describe.each(documents)('%s', (document) => {
  const text = readFileSync(path.join(ROOT, document), 'utf8')

  test('links to files that exist', () => {
    const links = [...text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)].map((match) => match[1] as string)
    const broken = links.filter(
      (link) => !/^[a-z]+:/.test(link) && !existsSync(path.resolve(ROOT, path.dirname(document), link)),
    )
    expect(broken).toEqual([])
  })

  test('names commands and files that exist', () => {
    const commands = [...text.matchAll(/npm run (?:-s )?([a-z:]+)/g)].map((match) => match[1] as string)
    expect(commands.filter((command) => !scripts.includes(command))).toEqual([])
    // A path in backticks that begins in one of our folders.
    const paths = [...text.matchAll(/`((?:apps|packages|infra)\/[A-Za-z0-9._/-]+)`/g)].map(
      (match) => match[1] as string,
    )
    expect(paths.filter((one) => !existsSync(path.join(ROOT, one)))).toEqual([])
  })
})

test('every package and app has a README, and the map names it', () => {
  const packages = globSync('{apps,packages}/*/package.json', { cwd: ROOT }).map((file) => path.dirname(file))
  expect(packages.filter((one) => !existsSync(path.join(ROOT, one, 'README.md')))).toEqual([])
  const map = readFileSync(path.join(ROOT, 'ARCHITECTURE.md'), 'utf8')
  expect(packages.map((one) => path.basename(one)).filter((name) => !map.includes(`\`${name}\``))).toEqual([])
})

// Goal: the table of what goes wrong elsewhere cannot name a test that was renamed or taken away.
// Method: every `file`: name of it, looked up in that file as the name of a test that is neither skipped nor only planned.
test('every test that PAINS.md names exists', () => {
  const app = 'apps/crew-orchestrator'
  const rows = readFileSync(path.join(ROOT, app, 'PAINS.md'), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('| ') && !line.startsWith('| what goes wrong'))
  expect(rows.length).toBeGreaterThan(50)
  const named = rows.map((row) =>
    (row.split(' | ')[1] ?? '')
      .replace(/ \|$/, '')
      .split('<br>')
      .map((one) => /^`([^`]+)`: (.+)$/.exec(one)?.slice(1) ?? [one, '']),
  )
  const wrong = named.flat().filter(([file = '', name = '']) => {
    const place = [path.join(ROOT, app, file), path.join(ROOT, file)].find((one) => existsSync(one))
    return place === undefined || !testsIn(readFileSync(place, 'utf8')).has(name)
  })
  expect(wrong).toEqual([])
})

/** Names of the tests in a source file that are run. */
const testsIn = (source: string): ReadonlySet<string> =>
  new Set([...source.matchAll(/^ *(?:test|it)\(\s*'([^'\n]+)'/gm)].map((match) => match[1] as string))

// Goal: a service can be deployed alone, as the README says.
// Method: the README's command into a temporary folder; without a configuration the deployed service names every variable it misses.
test('a service is deployed alone, and refuses to start without its secrets', { timeout: 120_000 }, async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'hypercode-deploy-'))
  try {
    await run('pnpm', ['--filter', '@hypercode/agent-registry', 'deploy', '--prod', path.join(folder, 'out')], {
      cwd: ROOT,
      env: { ...process.env, CI: 'true' },
    })
    const refused = await run(process.execPath, ['dist/server.js'], {
      cwd: path.join(folder, 'out'),
      env: { PATH: process.env['PATH'] ?? '' },
    }).then(
      () => undefined,
      (error: unknown) => error as { code: number; stderr: string },
    )
    expect(refused?.code).toBe(78)
    for (const variable of ['JWT_SECRET', 'DATABASE_URL', 'REDIS_URL']) expect(refused?.stderr).toContain(variable)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
