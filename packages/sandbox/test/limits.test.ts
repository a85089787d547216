import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import type { Sandbox, SandboxCommand, SandboxResult } from '../src/index.ts'
import { SandboxUnavailable } from '../src/index.ts'
import { processesWith, runOutside, temporaryFolder, until, workingSandbox } from './helpers.ts'

const MIB = 1024 * 1024
let sandbox: Sandbox
beforeAll(async () => void (sandbox = await workingSandbox()))

type Rest = Partial<Omit<SandboxCommand, 'argv'>>
const run = async (argv: readonly [string, ...string[]], rest: Rest = {}): Promise<SandboxResult> =>
  await sandbox.run({ argv, workspace: rest.workspace ?? temporaryFolder(), timeoutMs: 15_000, ...rest })
const runShell = async (script: string, rest?: Rest): Promise<SandboxResult> =>
  await run(['/bin/sh', '-c', script], rest)
const runNode = async (script: string, rest?: Rest): Promise<SandboxResult> => await run(['node', '-e', script], rest)

// Goal: an honest command works and says what became of it.
describe('a command', () => {
  test('gets its input, writes to its workspace, and its output and exit code come back', async () => {
    const workspace = temporaryFolder()
    const result = await runShell('pwd; cat; echo "to $WHO" >&2; echo kept > file; exit 3', {
      ...{ workspace, stdin: 'héllo\n', env: { WHO: 'you' } },
    })
    expect(result).toEqual({
      ...{ exitCode: 3, signal: null, stdout: `${workspace}\nhéllo\n`, stderr: 'to you\n' },
      ...{ timedOut: false, truncated: false, durationMs: expect.any(Number) as number },
    })
    expect(readFileSync(path.join(workspace, 'file'), 'utf8')).toBe('kept\n')
  })

  test('finds Node, git, a user name, localhost and a small environment', async () => {
    const server = `require('http').createServer((_, r) => r.end('served')).listen(0, 'localhost', async function () {
      console.log(require('os').userInfo().username, await (await fetch('http://localhost:' + this.address().port)).text())
      this.close()
    })`
    expect(await runNode(server)).toMatchObject({ exitCode: 0, stdout: 'sandbox served\n' })
    expect((await runShell('git init -q . && git status --short && env | cut -d= -f1 | sort | xargs')).stdout).toBe(
      'HOME LANG PATH PWD\n',
    )
  })

  test('that is not there is 127, and one that a signal ends has its name', async () => {
    expect(await run(['no-such-program'])).toMatchObject({ exitCode: 127, signal: null })
    expect(await runShell('kill -SEGV $$')).toMatchObject({ exitCode: null, signal: 'SIGSEGV', timedOut: false })
  })

  test('may ignore its input', async () => {
    expect((await runShell('exec <&-; exit 4', { stdin: 'x'.repeat(4 * MIB) })).exitCode).toBe(4)
  })

  test('that kills all that it can see ends nobody but itself', async () => {
    expect(await runShell('kill -9 $PPID; kill -9 1; kill -9 -1; echo still here')).toMatchObject({
      stdout: 'still here\n',
      exitCode: 0,
    })
  })

  test('cannot write to what is read-only, even in its workspace', async () => {
    const workspace = temporaryFolder()
    const guarded = path.join(workspace, 'guarded')
    const given = path.join(temporaryFolder(), 'given')
    mkdirSync(guarded)
    writeFileSync(given, 'given')
    const result = await runShell(
      `cat ${given}; echo x > ${given}; echo x > guarded/file; mv guarded gone; ls -A guarded`,
      {
        ...{ workspace, readOnly: [guarded, given] },
      },
    )
    expect(result.stdout).toBe('given')
    expect(result.stderr.match(/Read-only file system|busy/g)).toHaveLength(3)
  })
})

// Goal: no command holds more than it was given, and one that tries ends alone.
describe('limits', () => {
  const sleepers = (count: number, word: string): string =>
    `for (let i = 0; i < ${count}; i++) require('child_process').spawn('/bin/sh', ['-c', 'read x', '${word}'], { stdio: ['pipe', 'inherit', 'inherit'] });
     setTimeout(() => { console.log('ALL'); process.exit() }, 1500)`

  test('processes: more than allowed end the command; outside, as many are no problem', async () => {
    const dir = temporaryFolder()
    expect((await runOutside(['node', '-e', sleepers(60, 'hc-outside')], dir)).stdout).toBe('ALL\n')
    expect(await runNode(sleepers(60, 'hc-inside'), { processesMax: 100 })).toMatchObject({
      stdout: 'ALL\n',
      exitCode: 0,
    })
    const bounded = await runNode(sleepers(60, 'hc-inside'), { processesMax: 40 })
    expect(bounded).toMatchObject({
      exitCode: null,
      signal: 'SIGKILL',
      exceeded: 'processes',
      timedOut: false,
      stdout: '',
    })
    expect(processesWith('hc-inside')).toEqual([])
  })

  test('a fork bomb ends its command', async () => {
    const bomb = await runShell('b() { b hc-bomb | b hc-bomb & }; b hc-bomb; sleep 60', { processesMax: 64 })
    expect(bomb).toMatchObject({ signal: 'SIGKILL', exceeded: 'processes' })
    expect(bomb.durationMs).toBeLessThan(5_000)
  })

  test('4 GB of memory are not to be had', async () => {
    expect((await run(['perl', '-e', 'my $x = "x" x (4 << 30); print "GOT"'])).stdout).not.toContain('GOT')
    const one = 'const a = []; for (let i = 0; i < 64; i++) a.push(Buffer.alloc(64 << 20, 1)); console.log("GOT")'
    const result = await runNode(one)
    expect(result.stdout).toBe('')
    expect(result.exitCode).not.toBe(0)
  })

  const hold = (mebibytes: number): string =>
    `const a = Buffer.alloc(${mebibytes} << 20, 1); setTimeout(() => console.log('HELD', a.length), 500)`
  test('memory: what one process really holds counts', async () => {
    expect((await runOutside(['node', '-e', hold(400)], temporaryFolder())).stdout).toContain('HELD')
    expect((await runNode(hold(100), { memoryBytes: 300 * MIB })).stdout).toContain('HELD')
    expect(await runNode(hold(400), { memoryBytes: 300 * MIB })).toMatchObject({ stdout: '', exceeded: 'memory' })
  })

  test('memory: all processes count together', async () => {
    const many = `for (let i = 0; i < 4; i++) require('child_process').spawn(process.execPath, ['-e', ${JSON.stringify(hold(100))}], { stdio: 'inherit' })`
    expect((await runNode(many, { memoryBytes: 1024 * MIB })).stdout.match(/HELD/g)).toHaveLength(4)
    expect(await runNode(many, { memoryBytes: 300 * MIB })).toMatchObject({ signal: 'SIGKILL', exceeded: 'memory' })
  })

  test('output is bounded while it is read, at a whole character', async () => {
    const flood = await runShell('yes ä & yes >&2 & sleep 1; kill %1 %2; true', {
      outputMaxBytes: 1_001,
      timeoutMs: 10_000,
    })
    expect(flood.truncated).toBe(true)
    expect(flood.stdout).toBe(`${'ä\n'.repeat(333)}ä`)
    expect(flood.stderr).toHaveLength(1_001)
    expect((await runShell('printf 12345678', { outputMaxBytes: 8 })).truncated).toBe(false)
  })

  test('one file is bounded', async () => {
    const workspace = temporaryFolder()
    const result = await runShell('head -c 5000000 /dev/zero > big; ls -l big | cut -d" " -f5', {
      ...{ workspace, fileBytesMax: MIB },
    })
    expect(result.stdout).toBe(`${MIB}\n`)
  })
})

// Goal: nothing of a command outlives it, however it ends. Method: look for its processes by a word on their command line.
describe('the end', () => {
  const busy = (word: string): string =>
    `setsid sh -c 'while :; do :; done' ${word} & sh -c 'while :; do :; done' ${word}`

  test('by time-out takes the whole tree along', async () => {
    const result = await runShell(busy('hc-endless'), { timeoutMs: 700 })
    expect(result).toMatchObject({ timedOut: true, exitCode: null, signal: 'SIGKILL' })
    expect(result.durationMs).toBeGreaterThanOrEqual(700)
    expect(result.durationMs).toBeLessThan(5_000)
    expect(processesWith('hc-endless')).toEqual([])
  })

  test('by the caller takes the whole tree along and throws its reason', async () => {
    const caller = new AbortController()
    const pending = runShell(busy('hc-unwanted'), { signal: caller.signal })
    await until(() => processesWith('hc-unwanted').length >= 3)
    caller.abort(new Error('no longer wanted'))
    await expect(pending).rejects.toThrow('no longer wanted')
    expect(processesWith('hc-unwanted')).toEqual([])
  })

  test('at any moment of its start leaves nothing', async () => {
    for (let delayMs = 0; delayMs < 30; delayMs += 3) {
      const signal = AbortSignal.timeout(delayMs)
      const outcome = await runShell('sleep 60', { signal, env: { WORD: 'hc-early' } }).catch((error: unknown) => error)
      expect(outcome).toHaveProperty('name', 'TimeoutError')
    }
    await until(() => processesWith('hc-sandbox-test-').filter((pid) => isSandbox(pid)).length === 0)
  })

  test('of the first process is the end of those that it left in the background', async () => {
    const result = await runShell("setsid sh -c 'read x < /dev/zero' hc-left > /dev/null 2>&1 & sleep 0.2")
    expect(result.exitCode).toBe(0)
    expect(processesWith('hc-left')).toEqual([])
  })

  test('of an aborted signal comes before the start', async () => {
    const workspace = temporaryFolder()
    const signal = AbortSignal.abort(new Error('too late'))
    await expect(runShell('touch started', { workspace, signal })).rejects.toThrow('too late')
    expect(() => readFileSync(path.join(workspace, 'started'))).toThrow('ENOENT')
  })
})

const isSandbox = (pid: number): boolean => {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'bwrap'
  } catch {
    return false // it ended while we looked
  }
}

// Goal: a command that makes no sense is refused before anything starts.
test.each<[string, Rest & { argv?: readonly [string, ...string[]] }]>([
  ['no program', { argv: [''] }],
  ['a NUL', { argv: ['echo', 'a\0b'] }],
  ['a bad variable', { env: { 'A=B': 'x' } }],
  ['a relative workspace', { workspace: '.' }],
  ['a missing workspace', { workspace: '/nowhere/at/all' }],
  ['the root as workspace', { workspace: '/' }],
  ['programs as workspace', { workspace: '/usr/local' }],
  ['a file as workspace', { workspace: process.execPath }],
  ['a missing read-only path', { readOnly: ['/nowhere/at/all'] }],
  ['a link as read-only path', { readOnly: ['/proc/self'] }],
  ['no time', { timeoutMs: 0 }],
  ['too much time', { timeoutMs: 2 ** 31 }],
  ['half a process', { processesMax: 1.5 }],
])('%s is refused', async (_, { argv = ['true'], ...rest }) => {
  const refusal = await run(argv, rest).catch((error: unknown) => error)
  expect(refusal).toBeInstanceOf(RangeError)
  expect(refusal).not.toBeInstanceOf(SandboxUnavailable)
})
