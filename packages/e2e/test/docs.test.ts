import { execFile } from 'node:child_process'
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'

const ROOT = path.resolve(import.meta.dirname, '../../..')
const documents = globSync(['*.md', '{apps,packages}/*/README.md', 'infra/**/*.md'], {
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
