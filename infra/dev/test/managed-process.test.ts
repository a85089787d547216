import { spawn } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { createServer } from 'node:net'
import path from 'node:path'
import type { ProcessIdentity } from '@hypercode/local-stack'
import { identify } from '@hypercode/local-stack'
import { describe, expect, onTestFinished, test } from 'vitest'
import { ManagedProcess } from '../src/managed-process.ts'
import type { ProcessPlan } from '../src/managed-process.ts'
import { openProcessRecords } from '../src/process-records.ts'
import { temporaryFolder, until } from './temporary-folder.ts'

interface Watched {
  readonly managed: ManagedProcess
  readonly events: string[]
  readonly dir: string
}

/** A process that runs `code`; what happens to it is in `events`. */
function processOf(code: string, plan: Partial<ProcessPlan> = {}, dir = temporaryFolder()): Watched {
  const file = path.join(dir, 'program.mjs')
  writeFileSync(file, code)
  const events: string[] = []
  const managed = new ManagedProcess(
    {
      name: 'program',
      args: [file],
      cwd: dir,
      env: { PATH: process.env['PATH'] ?? '' },
      logFile: path.join(dir, 'logs', 'program.log'),
      stopMs: 2_000,
      ...plan,
    },
    openProcessRecords(dir),
    {
      restarting: (_, how) => events.push(`restarting after ${how}`),
      restarted: () => events.push('restarted'),
      failed: (error) => events.push(`failed: ${error.message.split('\n')[1]}`),
    },
  )
  onTestFinished(() => managed.killNow())
  return { managed, events, dir }
}

const never = new AbortController().signal

// Goal: a service that does not start says why at once; one that dies later comes back; stopping has a bound.
describe('a managed process', () => {
  test('says what ended it, not what failed while it closed', async () => {
    const { managed } = processOf(
      `
      const fatal = { level: 'fatal', err: { message: 'address "a" is in use', stack: 'at "here"' }, msg: 'closing' }
      console.log(JSON.stringify(fatal))
      for (let i = 0; i < 200; i += 1) console.log(JSON.stringify({ level: 'error', msg: 'turn failed '.repeat(10) }))
      process.exit(1)`,
      { readyUrl: 'http://127.0.0.1:1/' },
    )
    const error = await managed.start(new AbortController().signal).then(
      () => undefined,
      (thrown: unknown) => thrown as Error,
    )
    expect(error?.message).toContain('in use')
    expect(error?.message).not.toMatch(/turn failed|here/)
  })

  test('that ends while it starts fails at once, with the end of its log and its exit code', async () => {
    const { managed } = processOf("console.error('no such table'); process.exit(78)", {
      readyUrl: 'http://127.0.0.1:1/',
    })
    const failure = await managed.start(never).catch((error: unknown) => error)
    expect(failure).toMatchObject({ name: 'ProcessEndedError', exitCode: 78 })
    expect(String(failure)).toContain('no such table')
  })

  test('is ready when its URL answers 2xx, not when something listens', async () => {
    const port = await freePort()
    const code = `
      import { createServer } from 'node:http'
      let asked = 0
      createServer((_, answer) => { asked += 1; answer.writeHead(asked < 4 ? 503 : 200).end(); console.log('asked', asked) })
        .listen(${port}, '127.0.0.1')`
    const { managed, dir } = processOf(code, { readyUrl: `http://127.0.0.1:${port}/` })
    await managed.start(never)
    expect(readFileSync(path.join(dir, 'logs', 'program.log'), 'utf8')).toBe('asked 1\nasked 2\nasked 3\nasked 4\n')
    await managed.stop()
  })

  test.runIf(existsSync('/proc/net/tcp'))('is not ready when somebody else answers on its port', async () => {
    const stranger = createHttpServer((_, answer) => answer.end('me'))
    await new Promise<void>((resolve) => stranger.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void stranger.close())
    const address = stranger.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const code = "setTimeout(() => { console.error('port taken'); process.exit(1) }, 500)"
    const { managed } = processOf(code, { readyUrl: `http://127.0.0.1:${port}/` })
    await expect(managed.start(never)).rejects.toThrow(/port taken/)
  })

  test('that is killed comes back under a new number, with its record', async () => {
    const { managed, events, dir } = processOf('setInterval(() => {}, 1000)')
    await managed.start(never)
    const { pid } = managed
    process.kill(pid ?? 0, 'SIGKILL')
    await until(() => events.includes('restarted'))
    expect(events).toEqual(['restarting after SIGKILL', 'restarted'])
    expect(managed.pid).not.toBe(pid)
    const records = JSON.parse(readFileSync(path.join(dir, 'processes.json'), 'utf8')) as Record<
      string,
      { pid: number }
    >
    expect(records['program']?.pid).toBe(managed.pid)
    await managed.stop()
    expect(identify(managed.pid ?? 0)).toBeUndefined()
  })

  test('that keeps ending is given up, with its log', async () => {
    const { managed, events } = processOf("setTimeout(() => { console.error('out of luck'); process.exit(1) }, 100)")
    await managed.start(never)
    await until(() => events.at(-1)?.startsWith('failed') === true, 19_000)
    expect(events.at(-1)).toBe('failed: out of luck')
    expect(events.filter((event) => event === 'restarted')).toHaveLength(6)
  })

  test('whose configuration is refused is not tried again', async () => {
    const { managed, events } = processOf("setTimeout(() => { console.error('bad secret'); process.exit(78) }, 100)")
    await managed.start(never)
    await until(() => events.length > 0)
    expect(events).toEqual(['failed: bad secret'])
  })

  test('is asked to end, and made to when it will not', async () => {
    const polite = processOf(
      "setInterval(() => {}, 1000); process.on('SIGTERM', () => process.exit(0)); console.log('up')",
    )
    const rude = processOf(
      "setInterval(() => {}, 1000); process.on('SIGTERM', () => console.log('no')); console.log('up')",
      {
        stopMs: 300,
      },
    )
    for (const { managed, dir } of [polite, rude]) {
      await managed.start(never)
      await until(() => readFileSync(path.join(dir, 'logs', 'program.log'), 'utf8').includes('up'))
      await managed.stop()
      expect(identify(managed.pid ?? 0)).toBeUndefined()
    }
    expect(readFileSync(path.join(rude.dir, 'logs', 'program.log'), 'utf8')).toBe('up\nno\n')
    expect([...polite.events, ...rude.events]).toEqual([])
  })
})

// Goal: what a killed starter leaves is ended by the next one, and nothing else is.
describe('process records', () => {
  test('end what lives of an earlier run', async () => {
    const dir = temporaryFolder()
    const identity = leftover()
    openProcessRecords(dir).set('service', identity)
    expect(await openProcessRecords(dir).stopLeftovers(2_000)).toEqual(['service'])
    expect(identify(identity.pid)).toBeUndefined()
    expect(await openProcessRecords(dir).stopLeftovers(2_000)).toEqual([])
  })

  test('leave a process alone that only has the number', async () => {
    const dir = temporaryFolder()
    const { pid } = leftover()
    openProcessRecords(dir).set('service', { pid, startTime: 'of another process' })
    expect(await openProcessRecords(dir).stopLeftovers(100)).toEqual([])
    expect(identify(pid)).toBeDefined()
  })
})

/** A process as a killed starter leaves it. */
function leftover(): ProcessIdentity {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { detached: true, stdio: 'ignore' })
  onTestFinished(() => void child.kill('SIGKILL'))
  const identity = identify(child.pid ?? 0)
  if (identity === undefined) throw new Error('the process did not start')
  return identity
}

async function freePort(): Promise<number> {
  return await new Promise((resolve) => {
    const server = createServer()
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}
