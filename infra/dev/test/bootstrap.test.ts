import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { identify } from '@hypercode/local-stack'
import { describe, expect, onTestFinished, test } from 'vitest'
import { temporaryFolder, until } from './temporary-folder.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))

/** A checkout in which nothing needs to be installed and `npm test` is `code`. */
function checkoutWith(code: string): string {
  const root = temporaryFolder()
  for (const dir of ['infra/dev/src', 'node_modules/.bin', 'node_modules/pnpm'])
    mkdirSync(path.join(root, dir), { recursive: true })
  copyFileSync(path.join(ROOT, 'infra/dev/bootstrap.mjs'), path.join(root, 'infra/dev/bootstrap.mjs'))
  writeFileSync(path.join(root, 'package.json'), JSON.stringify({ packageManager: 'pnpm@1.2.3' }))
  writeFileSync(path.join(root, 'node_modules/pnpm/package.json'), JSON.stringify({ version: '1.2.3' }))
  writeFileSync(
    path.join(root, 'node_modules/.bin/pnpm'),
    '#!/bin/sh\n[ ! -e "$PWD/broken" ] || { echo lockfile too old; exit 3; }\n',
    { mode: 0o755 },
  )
  symlinkSync(process.execPath, path.join(root, 'node_modules/.bin/node'))
  writeFileSync(path.join(root, 'infra/dev/src/test.ts'), code)
  return root
}

interface Run {
  readonly pid: number
  readonly text: () => string
  readonly ended: Promise<[number | null, NodeJS.Signals | null]>
  kill(signal: NodeJS.Signals): void
}

function bootstrap(root: string, ...args: string[]): Run {
  const { npm_lifecycle_event: _, ...env } = process.env
  const child = spawn(process.execPath, [path.join(root, 'infra/dev/bootstrap.mjs'), ...args], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  let text = ''
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()))
  const ended = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>
  return { pid: child.pid ?? 0, text: () => text, ended, kill: (signal) => void child.kill(signal) }
}

// Goal: the bootstrap is no more than a door: arguments, signals and exit codes pass as they are.
describe('the bootstrap', () => {
  test('hands over arguments, the tools of the repository, the source condition and the exit code', async () => {
    const root = checkoutWith(`
      process.stdout.write(JSON.stringify({
        args: process.argv.slice(2), execArgv: process.execArgv, path: process.env.PATH.split(':')[0],
        telemetry: process.env.TURBO_TELEMETRY_DISABLED, cwd: process.cwd(),
      }))
      process.exitCode = 7`)
    const run = bootstrap(root, 'test', '--once', 'a b')
    expect(await run.ended).toEqual([7, null])
    expect(JSON.parse(run.text())).toEqual({
      args: ['--once', 'a b'],
      execArgv: ['--conditions=@hypercode/source'],
      path: path.join(root, 'node_modules/.bin'),
      telemetry: '1',
      cwd: root,
    })
  })

  test.each(['SIGINT', 'SIGTERM'] as const)('sends %s on, once', async (signal) => {
    const code = `
      setInterval(() => undefined, 1000)
      let count = 0
      process.on('${signal}', () => { count += 1; setTimeout(() => { process.stdout.write('got ' + count); process.exit(5) }, 200) })
      process.stdout.write('up ')`
    const run = bootstrap(checkoutWith(code), 'test')
    await until(() => run.text().includes('up'))
    run.kill(signal)
    run.kill(signal) // as a terminal and npm do, both for one Ctrl-C
    expect(await run.ended).toEqual([5, null])
    expect(run.text()).toBe('up got 1')
  })

  test('ends as its command ends, also by a signal', async () => {
    const run = bootstrap(checkoutWith("process.kill(process.pid, 'SIGKILL')"), 'test')
    expect(await run.ended).toEqual([137, null])
  })

  test('that is killed closes the channel by which the command notices', async () => {
    const code = `
      setInterval(() => undefined, 1000)
      process.once('disconnect', () => process.exit(0))
      process.stdout.write(String(process.pid))`
    const run = bootstrap(checkoutWith(code), 'test')
    await until(() => /^\d+$/.test(run.text()))
    const command = Number(run.text())
    run.kill('SIGKILL')
    await until(() => identify(command) === undefined)
    expect(identify(command)).toBeUndefined()
  })

  test('says what is wrong with the installation and exits 2', async () => {
    const root = checkoutWith('')
    writeFileSync(path.join(root, 'broken'), '')
    const run = bootstrap(root, 'test')
    expect(await run.ended).toEqual([2, null])
    expect(run.text()).toMatch(/^lockfile too old\ninstalling the packages failed \(exit 3\)/)
  })

  test('knows its commands', async () => {
    const run = bootstrap(checkoutWith(''), 'destroy')
    expect(await run.ended).toEqual([2, null])
    expect(run.text()).toBe(
      'usage: node infra/dev/bootstrap.mjs start|test|token|figures|bench|bench:peers|sim|chaos [arguments]\n',
    )
  })
})
