import { spawn, spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  closeSync,
  copyFileSync,
  mkdirSync,
  openSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { accountOf, canEnter } from '@hypercode/local-stack'
import { beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { SandboxUnavailable, findSandbox } from '../src/index.ts'
import { bubblewrapPath, packageDir, processesWith, temporaryFolder, until } from './helpers.ts'

let bwrap: string
beforeAll(async () => void (bwrap = await bubblewrapPath()))

const outsider = path.join(packageDir, 'test/outsider.ts')
const dyingStarter = path.join(packageDir, 'test/dying-starter.ts')
const isClosed = process.getuid?.() === 0 && !canEnter(accountOf('nobody') ?? {}, packageDir)

// Goal: there is a sandbox that was seen to work, or none; never something weaker.
describe('findSandbox', () => {
  test('answers undefined without bubblewrap', async () => {
    const empty = temporaryFolder()
    expect(await findSandbox({ path: path.join(empty, 'bwrap') })).toBeUndefined()
    vi.stubEnv('PATH', empty) // read when the process began, so it changes nothing here: the next test is about that
    expect(await findSandbox({ path: empty })).toBeUndefined()
  })

  test('finds it on the PATH of its process, and nothing without', () => {
    const found = temporaryFolder()
    symlinkSync(bwrap, path.join(found, 'bwrap'))
    const script = `import { findSandbox } from ${JSON.stringify(path.join(packageDir, 'src/index.ts'))}
      process.stdout.write(String((await findSandbox())?.kind))`
    const answer = (PATH: string): string =>
      spawnSync(process.execPath, ['--input-type=module', '-e', script], { env: { PATH }, encoding: 'utf8' }).stdout
    // A script beside its files is how it was fetched, and a link to that has none beside it.
    if (!bwrap.includes('bubblewrap/bwrap')) expect(answer(found)).toBe('bubblewrap')
    expect(answer(path.dirname(bwrap))).toBe('bubblewrap')
    expect(answer(temporaryFolder())).toBe('undefined')
  })

  test.each([
    ['fails', 'exit 1'],
    ['says yes and runs nothing', 'exit 0'],
    ['runs the command as it is', 'while [ "$1" != -- ]; do shift; done; shift; exec "$@"'],
    ['never answers', 'exec sleep 60'],
    ['leaves the network open', `exec "$REAL" $(echo " $*" | sed "s/ --unshare-net//")`],
    ['leaves out the filter', `exec "$REAL" $(echo " $*" | sed "s/ --seccomp 4//")`],
    ['leaves the capabilities', `exec "$REAL" $(echo " $*" | sed "s/ --cap-drop ALL//")`],
  ])('answers undefined when bubblewrap %s', { timeout: 15_000 }, async (_, body) => {
    const file = path.join(temporaryFolder(), 'bwrap')
    writeFileSync(file, `#!/bin/sh\nREAL='${bwrap}'\n${body}\n`)
    chmodSync(file, 0o755)
    expect(await findSandbox({ path: file })).toBeUndefined()
  })

  test('a sandbox whose bubblewrap has gone refuses', async () => {
    const workspace = temporaryFolder()
    const file = path.join(temporaryFolder(), 'bwrap')
    writeFileSync(file, `#!/bin/sh\nexec '${bwrap}' "$@"\n`)
    chmodSync(file, 0o755)
    const sandbox = await findSandbox({ path: file })
    const command = { argv: ['/bin/touch', 'ran'], workspace, timeoutMs: 5_000 } as const
    expect(await sandbox?.run(command)).toMatchObject({ exitCode: 0 })
    rmSync(path.join(workspace, 'ran'))
    rmSync(file)
    await expect(sandbox?.run(command)).rejects.toBeInstanceOf(SandboxUnavailable)
    copyFileSync('/bin/false', file)
    await expect(sandbox?.run(command)).rejects.toBeInstanceOf(SandboxUnavailable)
    expect(spawnSync('ls', ['-A', workspace], { encoding: 'utf8' }).stdout).toBe('')
  })
})

// Goal: what surrounds the process that runs the sandbox does not change what it holds.
describe('around the sandbox', () => {
  test('files that the starter left open are not there inside', () => {
    const dir = temporaryFolder()
    writeFileSync(path.join(dir, 'secret'), 'token-of-the-starter')
    const [secret, workspace] = [openSync(path.join(dir, 'secret'), 'r'), path.join(dir, 'workspace')]
    onTestFinished(() => closeSync(secret))
    mkdirSync(workspace)
    const look = (files: string): string => `for fd in ${files}; do cat $fd < /dev/null 2>/dev/null; done`
    const stdio = ['ignore', 'pipe', 'inherit', ...Array.from({ length: 20 }, () => secret)] as const
    // The others may be pipes of whoever runs the tests, and reading from one would wait.
    const outside = spawnSync('/bin/sh', ['-c', look('/proc/self/fd/[3-9]')], {
      stdio: [...stdio],
      encoding: 'utf8',
      timeout: 10_000,
    })
    expect(outside.stdout).toContain('token-of-the-starter')
    const inside = spawnSync(
      process.execPath,
      [outsider, bwrap, workspace, `${look('/proc/self/fd/*')}; echo looked`],
      {
        ...{ stdio: [...stdio], encoding: 'utf8', timeout: 20_000 },
      },
    )
    expect(inside.stdout).toContain('looked')
    expect(inside.stdout).not.toContain('token-of-the-starter')
  })

  test('the death of its starter ends the command', async () => {
    const workspace = temporaryFolder()
    const script = "setsid sh -c 'while :; do sleep 1; done' hc-orphan & sh -c 'while :; do sleep 1; done' hc-orphan"
    const starter = spawn(process.execPath, [outsider, bwrap, workspace, script], { stdio: 'ignore' })
    const inside = (): number[] => processesWith('hc-orphan').filter((pid) => pid !== starter.pid)
    await until(() => inside().length >= 4)
    starter.kill('SIGKILL')
    await until(() => inside().length === 0)
    expect(inside()).toEqual([])
  })

  // bubblewrap asks to be killed with its starter only when it is half through: before that, its own death by the broken pipe of its
  // status would leave the first process inside, which waits for it, for ever.
  test.each([0, 2, 5, 10, 20, 50])('so does one %i ms after the start', { timeout: 30_000 }, async (ms) => {
    const workspace = temporaryFolder()
    const starter = spawnSync(process.execPath, [dyingStarter, bwrap, workspace, `${ms}`], { encoding: 'utf8' })
    expect(starter).toMatchObject({ signal: 'SIGKILL', stderr: '' })
    await until(() => processesWith(workspace).length === 0)
    // Not only for a moment, before it has come to that point.
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(processesWith(workspace)).toEqual([])
  })

  // In a checkout that only root may enter, an ordinary user could not even read the program that asks.
  test.skipIf(isClosed)('it works for an ordinary user too', { timeout: 30_000 }, () => {
    const nobody = { uid: 65_534, gid: 65_534 }
    const workspace = temporaryFolder()
    const isRoot = process.getuid?.() === 0
    if (isRoot) chownSync(workspace, nobody.uid, nobody.gid)
    const ask = (script: string, processes = '256'): unknown => {
      const args = [outsider, bwrap, workspace, script, processes]
      const run = spawnSync(process.execPath, args, { ...(isRoot ? nobody : {}), cwd: '/', encoding: 'utf8' })
      return JSON.parse(run.stdout)
    }
    expect(ask('echo mine > file && cat file')).toMatchObject({ exitCode: 0, stdout: 'mine\n' })
    // The kernel refuses it more processes, and the watch may come too late to see them: it ends in one of two ways.
    const bomb = ask('b() { b | b & }; b; sleep 1', '64')
    expect(bomb).toMatchObject({ timedOut: false })
    expect(ask(`perl -e 'my $x = "x" x (4 << 30); print "GOT"'`)).toMatchObject({ stdout: '' })
  })
})

test('start-up time', async () => {
  const sandbox = await findSandbox({ path: bwrap })
  const workspace = temporaryFolder()
  const times: number[] = []
  for (let i = 0; i < 20; i++) {
    const result = await sandbox?.run({ argv: ['/bin/true'], workspace, timeoutMs: 5_000 })
    times.push(result?.durationMs ?? Number.NaN)
  }
  const sorted = times.toSorted((a, b) => a - b)
  process.stdout.write(
    `sandbox start and end: median ${sorted[10]?.toFixed(1)} ms, longest ${sorted[19]?.toFixed(1)} ms\n`,
  )
  expect(sorted.every((ms) => ms > 0)).toBe(true)
})
