import { spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdir, readFile, readdir, readlink, rm, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { waitFor } from '@hypercode/testkit/tools'
import { describe, expect } from 'vitest'
import { LaunchRefused } from '../../src/drivers/driver.ts'
import type { Handle } from '../../src/drivers/driver.ts'
import { createProcessDriver } from '../../src/drivers/process/process-driver.ts'
import {
  AGENT,
  exitOf,
  hasProc,
  isRoot,
  isRunning,
  launchOf,
  logOf,
  never,
  runAs,
  startAgent,
  test,
  untilSays,
} from './setup.ts'

describe('starting', () => {
  test('an agent runs where nobody else is at home, and is told what it was given and nothing more', async ({
    driver,
    folder,
  }) => {
    process.env['CANARY_OF_THE_FACTORY'] = 'sings'
    const handle = await startAgent(driver, ['tell', 'a b', '$HOME'], { env: { COLOUR: 'blue', NODE_ENV: 'test' } })
    const told = await untilSays(driver, handle, 'told')
    const home = path.join(folder, 'launches', handle.launchId, 'work')
    expect(told).toMatchObject({ argv: ['tell', 'a b', '$HOME'], cwd: home })
    expect(told['env']).toEqual({
      COLOUR: 'blue',
      NODE_ENV: 'test',
      LANG: 'C.UTF-8',
      PATH: expect.stringMatching(/:\/usr\/bin:\/bin$/),
      HOME: home,
      TMPDIR: path.join(home, 'tmp'),
    })
    expect(await driver.inspect(handle)).toMatchObject({ state: 'running', memoryBytes: expect.any(Number) })
    expect(await driver.list()).toEqual([handle])
  })

  test('the same launch is started once, by however many and however often', async ({ driver, config, folder }) => {
    const launch = launchOf(['wait'])
    const others = Array.from({ length: 3 }, () => createProcessDriver(config))
    const handles = await Promise.all([driver, ...others].map(async (each) => await each.start(launch, never())))
    expect(new Set(handles.map((handle) => handle['pid']))).toHaveLength(1)
    expect(await driver.start(launch, never())).toEqual(handles[0])
    await untilSays(driver, handles[0] ?? expect.fail(), 'started')
    if (hasProc) expect(await inhabitants(path.join(folder, 'launches', launch.launchId, 'work'))).toHaveLength(1)
    expect((await logOf(driver, handles[0] ?? expect.fail())).filter((line) => line['msg'] === 'started')).toHaveLength(
      1,
    )
  })

  test('a launch that has ended is found, not started again', async ({ driver }) => {
    const launch = launchOf(['exit', '7'])
    const handle = await driver.start(launch, never())
    await exitOf(driver, handle)
    expect(await driver.start(launch, never())).toEqual(handle)
    expect(await driver.inspect(handle)).toMatchObject({ state: 'ended', exit: { exitCode: 7 } })
    expect(await driver.list()).toEqual([])
  })

  test('a module is found in the folders that are configured', async ({ driver, folder }) => {
    const handle = await startAgent(driver, ['tell'], { entry: { module: await installedModule(folder) } })
    expect(await untilSays(driver, handle, 'told')).toMatchObject({ argv: ['tell'] })
  })

  test.for([
    ['a module that is not installed', { module: 'not-there' }, /not-there is not installed/],
    ['a file that is not there', { path: '/not/there.js' }, /no file/],
    ['an image', { image: 'debian' }, /not an image/],
  ] as const)('%s is refused', async ([, entry, words], { driver }) => {
    await expect(driver.start(launchOf([], { entry }), never())).rejects.toThrow(words)
    await expect(driver.start(launchOf([], { entry }), never())).rejects.toThrow(LaunchRefused)
    expect(await driver.list()).toEqual([])
  })

  test('a launch id cannot lead out of the folder', async ({ driver }) => {
    await expect(driver.start(launchOf([], { launchId: `../../${randomUUID()}` }), never())).rejects.toThrow(
      'no launch id',
    )
  })

  test('an aborted start leaves nothing that is not found again', async ({ driver }) => {
    const abort = new AbortController()
    const launch = launchOf(['wait'])
    const starting = driver.start(launch, abort.signal)
    abort.abort(new Error('enough'))
    await expect(starting).rejects.toThrow('enough')
    const handle = await driver.start(launch, never())
    expect(await driver.list()).toEqual([handle])
  })
})

describe('secrets', () => {
  test('are in a file that only the agent can read, and in nothing that others can see', async ({ driver, folder }) => {
    const value = `s3cret-${randomUUID()}`
    const handle = await startAgent(driver, ['secret', 'MODEL_KEY'], { secrets: { MODEL_KEY: value } })
    expect(await untilSays(driver, handle, 'secret')).toMatchObject({ value })
    const home = launchFolder(folder, handle)
    const file = await stat(path.join(home, 'secrets', 'MODEL_KEY'))
    expect(file.mode & 0o777).toBe(0o400)
    expect(file.uid).toBe(runAs === 'root' ? process.getuid?.() : 65_534)
    expect(JSON.stringify(handle)).not.toContain(value)
    for (const record of ['launch.json', 'agent.json', 'claim.json']) {
      expect(await readFile(path.join(home, record), 'utf8')).not.toContain(value)
    }
    if (hasProc) {
      for (const name of ['environ', 'cmdline'])
        expect(await readFile(`/proc/${handle['pid']}/${name}`, 'utf8')).not.toContain(value)
      expect(spawnSync('/bin/ps', ['axeww'], { encoding: 'utf8', maxBuffer: 64e6 }).stdout).not.toContain(value)
    }
    await driver.kill(handle)
    expect(await readdir(home)).not.toContain('secrets')
  })
})

describe.runIf(isRoot)('the user', () => {
  test.runIf(runAs === 'nobody')('is nobody, without the rights of the factory', async ({ driver }) => {
    const handle = await startAgent(driver, ['tell'])
    expect(await untilSays(driver, handle, 'told')).toMatchObject({ uid: 65_534 })
    expect(handle['user']).toBe('nobody')
    const status = await readFile(`/proc/${handle['pid']}/status`, 'utf8')
    expect(status).toMatch(/^Groups:\s*$/m)
    expect(status).toMatch(/^CapEff:\s+0+$/m)
    expect(status).toMatch(/^NoNewPrivs:\s+1$/m)
  })

  test('is root when that is asked for', async ({ config, folder }) => {
    const driver = createProcessDriver({ ...config, folder: path.join(folder, 'root'), runAs: 'root' })
    const handle = await startAgent(driver, ['tell'])
    expect(await untilSays(driver, handle, 'told')).toMatchObject({ uid: 0 })
    await driver.kill(handle)
  })

  test('who cannot read the code is told which file it is', async ({ config, folder }) => {
    const hidden = path.join(folder, 'hidden.mjs')
    await writeFile(hidden, '', { mode: 0o600 })
    const starting = createProcessDriver({ ...config, runAs: 'nobody' }).start(
      launchOf([], { entry: { path: hidden } }),
      never(),
    )
    await expect(starting).rejects.toThrow(/user "nobody" cannot reach .*: give it .* or set FACTORY_RUN_AS/)
    await expect(starting).rejects.toThrow(LaunchRefused)
  })

  test('who cannot enter the folder of the factory is told so', async ({ config, folder }) => {
    const closed = path.join(folder, 'closed')
    await mkdir(closed, { mode: 0o700 })
    const driver = createProcessDriver({ ...config, folder: path.join(closed, 'factory'), runAs: 'nobody' })
    // In a checkout that only root may enter, the code is out of reach as well, and named first.
    await expect(driver.start(launchOf([]), never())).rejects.toThrow(/cannot reach \//)
  })

  test('who does not exist is refused', async ({ config }) => {
    const starting = createProcessDriver({ ...config, runAs: 'no-such-user' }).start(launchOf([]), never())
    await expect(starting).rejects.toThrow('there is no user "no-such-user"')
  })
})

describe('ending', () => {
  test('an exit code is known, with the last words', async ({ driver }) => {
    const handle = await driver.start(launchOf(['exit', '3']), never())
    expect(await exitOf(driver, handle)).toEqual({ reason: 'exited', exitCode: 3, at: expect.any(Date) })
    expect(await logOf(driver, handle)).toEqual([{ msg: 'started', behaviour: 'exit' }])
  })

  test('a kill -9 is known as such', async ({ driver }) => {
    const handle = await startAgent(driver, ['wait'])
    process.kill(Number(handle['pid']), 'SIGKILL')
    expect(await exitOf(driver, handle)).toEqual({ reason: 'killed', signal: 'SIGKILL', at: expect.any(Date) })
  })

  test('who listens to SIGTERM is not killed', async ({ driver }) => {
    const handle = await startAgent(driver, ['wait'])
    await driver.stop(handle, 10_000)
    expect(await driver.inspect(handle)).toMatchObject({
      state: 'ended',
      exit: { reason: 'killed', signal: 'SIGTERM' },
    })
    await driver.stop(handle, 10_000)
  })

  test('who does not listen is killed when the grace is over', async ({ driver }) => {
    const handle = await startAgent(driver, ['stubborn'])
    await driver.stop(handle, 200)
    expect(await driver.inspect(handle)).toMatchObject({ state: 'ended', exit: { signal: 'SIGKILL' } })
    expect(await logOf(driver, handle)).toContainEqual({ msg: 'no' })
  })

  test('a grandchild that ignores SIGTERM and has left the group is gone too', async ({ driver }) => {
    const handle = await startAgent(driver, ['family'])
    const { pid } = await untilSays(driver, handle, 'child')
    await waitFor(async () => (await logOf(driver, handle)).some((line) => line['behaviour'] === 'stubborn'), {
      what: 'it runs',
    })
    expect(isRunning(Number(pid))).toBe(true)
    await driver.stop(handle, 5000)
    expect(isRunning(Number(pid))).toBe(false)
    expect(await driver.inspect(handle)).toMatchObject({ exit: { signal: 'SIGTERM' } })
  })

  test('and so it is without control groups, though its parent is no more', async ({ config }) => {
    const driver = createProcessDriver({ ...config, cgroups: 'off' })
    const handle = await startAgent(driver, ['family'])
    const { pid } = await untilSays(driver, handle, 'child')
    process.kill(Number(handle['pid']), 'SIGKILL')
    expect(await exitOf(driver, handle)).toMatchObject({ signal: 'SIGKILL' })
    expect(isRunning(Number(pid))).toBe(false)
  })

  test('an agent does not live on without its keeper', async ({ driver, folder }) => {
    const handle = await startAgent(driver, ['family'])
    const { pid } = await untilSays(driver, handle, 'child')
    const claim = JSON.parse(await readFile(path.join(launchFolder(folder, handle), 'claim.json'), 'utf8')) as {
      pid: number
    }
    process.kill(claim.pid, 'SIGKILL')
    expect(await exitOf(driver, handle)).toBeUndefined()
    expect(await readdir(launchFolder(folder, handle))).not.toContain('secrets')
    expect([Number(handle['pid']), Number(pid)].filter(isRunning)).toEqual([])
  })

  test('what is left of an ended launch is removed, of a running one nothing', async ({ driver, folder }) => {
    const handle = await startAgent(driver, ['wait'])
    await expect(driver.forget(handle)).rejects.toThrow('is running')
    await driver.kill(handle)
    await driver.forget(handle)
    await driver.forget(handle)
    expect(await readdir(path.join(folder, 'launches'))).toEqual([])
    expect(await driver.inspect(handle)).toEqual({ state: 'ended', exit: undefined })
    expect(await driver.readLogs(handle, 0, 10)).toEqual({ lines: [], cursor: 0 })
  })

  test('an agent whose folder was taken away does not run on unseen', async ({ driver, folder }) => {
    const handle = await startAgent(driver, ['wait'])
    await rm(path.join(folder, 'launches', handle.launchId), { recursive: true })
    expect(await exitOf(driver, handle)).toBeUndefined()
    expect(isRunning(Number(handle['pid']))).toBe(false)
  })

  test('what belongs to another host is left to it', async ({ driver }) => {
    const handle = await startAgent(driver, ['wait'])
    const foreign = { ...handle, host: 'elsewhere' }
    expect(await driver.inspect(foreign)).toEqual({ state: 'unknown' })
    await expect(driver.stop(foreign, 0)).rejects.toThrow('belongs to process of elsewhere')
    expect(await driver.inspect(handle)).toMatchObject({ state: 'running' })
  })
})

const launchFolder = (folder: string, handle: Handle): string => path.join(folder, 'launches', handle.launchId)

/** A package as pnpm or npm would put it beside the factory. */
async function installedModule(folder: string): Promise<string> {
  const home = path.join(folder, 'node_modules', '@some', 'agent')
  await mkdir(home, { recursive: true })
  await writeFile(path.join(home, 'package.json'), '{ "type": "module", "exports": { "./start": "./main.js" } }')
  await writeFile(path.join(home, 'main.js'), `await import(${JSON.stringify(AGENT)})`)
  return '@some/agent/start'
}

/** Processes that are at home in a launch. */
async function inhabitants(home: string): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const homes = await Promise.all(pids.map(async (pid) => await readlink(`/proc/${pid}/cwd`).catch(() => 'gone')))
  return pids.filter((_, index) => homes[index] === home)
}
