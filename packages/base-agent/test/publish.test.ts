import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { createFakeControlPlane } from '@hypercode/base-agent/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const bin = path.join(root, 'node_modules/.bin')
const here = fileURLToPath(new URL('.', import.meta.url))
let folder = ''

/** Runs a command in the consumer's folder and answers what it printed; its output is the error when it fails. */
async function run(command: string, args: readonly string[], cwd = folder): Promise<string> {
  const env = { ...process.env, PATH: `${bin}:${process.env['PATH']}`, NODE_OPTIONS: '' }
  try {
    return (await promisify(execFile)(command, args, { cwd, env, maxBuffer: 2 ** 26 })).stdout
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string }
    throw new Error(`${command} ${args.join(' ')} failed\n${stdout}\n${stderr}`, { cause: error })
  }
}

/** The first TypeScript of the README. */
async function firstExample(): Promise<string> {
  const readme = await readFile(path.join(here, '../README.md'), 'utf8')
  return /```ts\n([\s\S]*?)```/.exec(readme)?.[1] ?? ''
}

// Goal: a stranger's project takes the tarball with npm, type-checks an agent against it, and runs it.
// Method: everything happens outside of the repository, with nothing of it in reach.
describe('the packed package in a project of its own', () => {
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'base-agent-consumer-'))
    await run('pnpm', ['pack', '--pack-destination', folder], path.join(here, '..'))
    const [tarball = ''] = (await readdir(folder)).filter((name) => name.endsWith('.tgz'))
    await writeFile(path.join(folder, 'package.json'), '{ "name": "consumer", "private": true, "type": "module" }')
    const compilerOptions = {
      target: 'es2023',
      module: 'nodenext',
      strict: true,
      exactOptionalPropertyTypes: true,
      skipLibCheck: false,
      noEmit: true,
    }
    await writeFile(
      path.join(folder, 'tsconfig.json'),
      JSON.stringify({ compilerOptions, files: ['agent.ts', 'readme.ts'] }),
    )
    await copyFile(path.join(here, 'consumer/agent.ts'), path.join(folder, 'agent.ts'))
    await writeFile(path.join(folder, 'readme.ts'), await firstExample())
    await copyFile(path.join(here, 'consumer/run.mjs'), path.join(folder, 'run.mjs'))
    const quiet = ['--no-audit', '--no-fund', '--ignore-scripts', '--prefer-offline', '--loglevel=error']
    await run('npm', ['install', ...quiet, `./${tarball}`, 'typescript@5.9.3'])
  }, 240_000)

  afterAll(async () => {
    await rm(folder, { recursive: true, force: true })
  })

  test('is one package: no workspace package is left to ask a registry for', async () => {
    const installed = path.join(folder, 'node_modules/@hypercode')
    expect(await readdir(installed)).toEqual(['base-agent'])
    const manifest = JSON.parse(await readFile(path.join(installed, 'base-agent/package.json'), 'utf8')) as Record<
      string,
      object
    >
    const ranges = Object.values({ ...manifest['dependencies'], ...manifest['peerDependencies'] }) as string[]
    expect(ranges.length).toBeGreaterThan(5)
    expect(ranges.filter((range) => !/^\^?\d+\.\d+\.\d+$/.test(range))).toEqual([])
    expect(JSON.stringify(manifest)).not.toMatch(/workspace:|catalog:|@hypercode\/source|"private"/)
  })

  test('type-checks with TypeScript 5.9 and with 7, libraries included', async () => {
    expect(await run('node_modules/.bin/tsc', ['--version'])).toContain('5.9.')
    expect(await run('node_modules/.bin/tsc', ['-p', '.'])).toBe('')
    expect(await run(path.join(bin, 'tsc'), ['--version'])).toContain('7.')
    expect(await run(path.join(bin, 'tsc'), ['-p', '.'])).toBe('')
  }, 180_000)

  test('runs the example of the README, which has ten lines', async () => {
    expect((await firstExample()).split('\n').filter((line) => line.trim() !== '').length).toBeLessThanOrEqual(10)
    const platform = await createFakeControlPlane()
    const env = { PATH: process.env['PATH'], LOG_LEVEL: 'warn', ...platform.env }
    const agent = spawn(process.execPath, ['readme.ts'], { cwd: folder, env, stdio: 'inherit' })
    const exited = once(agent, 'exit')
    try {
      const task = await platform.ended(platform.queue({ skill: 'greet', input: { name: 'Ada' } }), 20_000)
      expect(task.output).toEqual({ greeting: 'Hello, Ada!' })
    } finally {
      agent.kill('SIGTERM')
      const [code] = (await exited) as [number | null]
      await platform.close()
      expect(code).toBe(0)
    }
  }, 60_000)

  test('works: an agent registers, beats from its thread, and does a task', async () => {
    // On a busy machine the agent may log a warning before its result.
    const lines = (await run(process.execPath, ['run.mjs'])).trim().split('\n')
    const result = JSON.parse(lines.at(-1) ?? '') as {
      output: unknown
      beats: number
      faults: unknown
    }
    expect(result.output).toEqual({ text: 'HELLO' })
    expect(result.beats).toBeGreaterThan(1)
    expect(result.faults).toEqual([])
  })
})
