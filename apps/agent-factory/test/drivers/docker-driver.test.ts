/** The docker driver against a scripted engine: what it asks for, and what it makes of every answer. */
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect } from 'vitest'
import { createDrivers } from '../../src/drivers/create-drivers.ts'
import type { Launch } from '../../src/drivers/driver.ts'
import { LaunchRefused } from '../../src/drivers/driver.ts'
import { createDockerDriver } from '../../src/drivers/docker/docker-driver.ts'
import type { ScriptedContainer, ScriptedDocker } from './scripted-docker.ts'
import { startScriptedDocker } from './scripted-docker.ts'
import { MIB, launchOf, never, test as base } from './setup.ts'

const test = base
  .extend('engine', async ({ folder: _folder }, { onCleanup }) => {
    const engine = await startScriptedDocker()
    engine.images.add('agents/tester:1')
    onCleanup(async () => await engine.close())
    return engine
  })
  .extend('docker', ({ engine }) => createDockerDriver({ url: engine.url, network: 'agents' }, 'here'))

const contained = (args: readonly string[] = [], more: Partial<Launch> = {}): Launch =>
  launchOf(args, { entry: { image: 'agents/tester:1' }, ...more })
const containerOf = (engine: ScriptedDocker, launch: Launch): ScriptedContainer =>
  engine.containers.get(`hypercode-${launch.launchId}`) ?? expect.fail('no container')

describe('what it asks for', () => {
  test('a container without rights, limited, labelled, with nothing of ours', async ({ engine, docker }) => {
    process.env['CANARY_OF_THE_FACTORY'] = 'sings'
    const launch = contained(['--fast'], { cpu: 0.5, env: { COLOUR: 'blue' }, secrets: { MODEL_KEY: 'v' } })
    const handle = await docker.start(launch, never())
    const { spec } = containerOf(engine, launch)
    expect(spec).toMatchObject({
      Image: 'agents/tester:1',
      Cmd: ['--fast'],
      User: '10001:10001',
      Labels: {
        'hypercode.installation': 'here',
        'hypercode.launch': launch.launchId,
        'hypercode.instance': launch.instanceId,
        'hypercode.blueprint': 'tester',
      },
      HostConfig: {
        Memory: 256 * MIB,
        MemorySwap: 256 * MIB,
        NanoCpus: 500_000_000,
        PidsLimit: 512,
        ReadonlyRootfs: true,
        CapDrop: ['ALL'],
        SecurityOpt: ['no-new-privileges'],
        RestartPolicy: { Name: 'no' },
        NetworkMode: 'agents',
      },
    })
    expect([...spec.Env].sort()).toEqual([
      'COLOUR=blue',
      'HOME=/tmp',
      'MODEL_KEY_FILE=/run/hypercode/secrets/MODEL_KEY',
      'NODE_ENV=production',
      'TMPDIR=/tmp',
    ])
    expect(handle).toEqual({
      driver: 'docker',
      host: engine.url.slice('tcp://'.length),
      launchId: launch.launchId,
      instanceId: launch.instanceId,
      container: 'ffffffffffff',
    })
  })

  test('secrets go into the container as files of its user, and nowhere else', async ({ engine, docker, folder }) => {
    const value = 'ä secret with\nlines'
    const launch = contained([], { secrets: { MODEL_KEY: value, OTHER: 'x'.repeat(600) } })
    await docker.start(launch, never())
    const container = containerOf(engine, launch)
    expect(JSON.stringify(container.spec)).not.toContain('secret with')
    const file = path.join(folder, 'secrets.tar')
    writeFileSync(file, container.archive ?? '')
    const tar = (...args: string[]): string => spawnSync('tar', [...args], { encoding: 'utf8' }).stdout
    expect(tar('--numeric-owner', '-tvf', file)).toMatch(
      /^-r-{8} 10001\/10001\s+20 .*MODEL_KEY\n-r-{8} 10001\/10001\s+600 .*OTHER\n$/,
    )
    expect(tar('-xOf', file, 'MODEL_KEY')).toBe(value)
    expect(engine.requests.findIndex((line) => line.endsWith('/archive'))).toBeLessThan(
      engine.requests.findIndex((line) => line.endsWith('/start')),
    )
  })

  test.for([{ path: '/agent.js' }, { module: 'agent' }])('%o is no image', async (entry, { docker }) => {
    await expect(docker.start(launchOf([], { entry }), never())).rejects.toThrow(LaunchRefused)
  })
})

describe('a start', () => {
  test('that broke off is finished by the next one', async ({ engine, docker }) => {
    const launch = contained([], { secrets: { KEY: 'v' } })
    for (const part of ['/archive', '/start', '/start']) {
      engine.failNext(part, 500)
      await expect(docker.start(launch, never())).rejects.toThrow('as scripted')
      expect(await docker.list()).toHaveLength(1)
    }
    await docker.start(launch, never())
    expect(containerOf(engine, launch)).toMatchObject({ status: 'running', archive: expect.any(Buffer) })
    expect(engine.requests.filter((line) => line.endsWith('/create'))).toHaveLength(1)
  })

  test('of two at once makes one container, whatever the engine calls a name that is taken', async ({
    engine,
    docker,
  }) => {
    const launch = contained()
    const [first, second] = await Promise.all([docker.start(launch, never()), docker.start(launch, never())])
    expect(first).toEqual(second)
    expect(engine.containers.size).toBe(1)
  })

  test('of one that has ended starts nothing', async ({ engine, docker }) => {
    const launch = contained()
    const handle = await docker.start(launch, never())
    await docker.kill(handle)
    expect(await docker.start(launch, never())).toEqual(handle)
    expect(containerOf(engine, launch).status).toBe('exited')
  })

  test('fetches an image that the engine lacks, and refuses one that nobody has', async ({ engine, docker }) => {
    engine.registry.add('agents/new:2')
    await docker.start(contained([], { entry: { image: 'agents/new:2' } }), never())
    expect(engine.containers.size).toBe(1)
    const nowhere = docker.start(contained([], { entry: { image: 'agents/nowhere:1' } }), never())
    await expect(nowhere).rejects.toThrow(/pull access denied/)
    await expect(nowhere).rejects.toThrow(LaunchRefused)
  })
})

describe('an end', () => {
  test.for([
    [{ exitCode: 0 }, { reason: 'exited', exitCode: 0 }],
    [{ exitCode: 3 }, { reason: 'exited', exitCode: 3 }],
    [{ exitCode: 137 }, { reason: 'killed', exitCode: 137, signal: 'SIGKILL' }],
    [
      { exitCode: 137, oomKilled: true },
      { reason: 'out_of_memory', exitCode: 137, signal: 'SIGKILL' },
    ],
    [{ exitCode: 134 }, { reason: 'killed', exitCode: 134, signal: 'SIGABRT' }],
    [
      {
        exitCode: 134,
        frames: [{ stream: 2 as const, text: '2026-01-02T03:04:06Z FATAL ERROR: JavaScript heap out of memory\n' }],
      },
      { reason: 'out_of_memory', exitCode: 134, signal: 'SIGABRT' },
    ],
  ] as const)('%o is %o', async ([end, exit], { engine, docker }) => {
    const launch = contained()
    const handle = await docker.start(launch, never())
    Object.assign(containerOf(engine, launch), { status: 'exited', ...end })
    expect(await docker.inspect(handle)).toEqual({
      state: 'ended',
      exit: { ...exit, at: new Date('2026-01-02T03:05:00Z') },
    })
    expect(await docker.list()).toEqual([])
  })

  test('is asked for, or forced, as often as one likes', async ({ engine, docker }) => {
    const launch = contained()
    const handle = await docker.start(launch, never())
    await expect(docker.forget(handle)).rejects.toThrow('stop it first')
    await docker.stop(handle, 1500)
    await docker.stop(handle, 1500)
    await docker.kill(handle)
    expect(await docker.inspect(handle)).toMatchObject({ exit: { signal: 'SIGTERM' } })
    await docker.forget(handle)
    await docker.forget(handle)
    await docker.kill(handle)
    expect(engine.containers.size).toBe(0)
    expect(await docker.inspect(handle)).toEqual({ state: 'ended', exit: undefined })
  })

  test('that cannot be had is an error', async ({ engine, docker }) => {
    const handle = await docker.start(contained(), never())
    engine.failNext('/kill', 500)
    await expect(docker.kill(handle)).rejects.toThrow('as scripted')
  })
})

test('an engine that is away says nothing about its containers', async ({ engine, docker }) => {
  const handle = await docker.start(contained(), never())
  engine.failNext('GET /containers/', 500)
  expect(await docker.inspect(handle)).toEqual({ state: 'unknown' })
  await engine.close()
  expect(await docker.inspect(handle)).toEqual({ state: 'unknown' })
  await expect(docker.list()).rejects.toThrow('ECONNREFUSED')
  await expect(docker.start(contained(), never())).rejects.toThrow('ECONNREFUSED')
  expect(await docker.inspect({ ...handle, host: 'elsewhere' })).toEqual({ state: 'unknown' })
})

test('nobody else’s containers are listed', async ({ engine, docker }) => {
  const own = await docker.start(contained(), never())
  await createDockerDriver({ url: engine.url }, 'there').start(contained(), never())
  expect(await docker.list()).toEqual([own])
})

test('logs are read page by page, though their times are those of seconds', async ({ engine, docker }) => {
  const launch = contained()
  const handle = await docker.start(launch, never())
  const { frames } = containerOf(engine, launch)
  const say = (second: number, text: string, stream: 1 | 2 = 1): unknown =>
    frames.push({ stream, text: `2026-01-02T03:04:${String(second).padStart(2, '0')}Z ${text}\n` })
  for (const [index, second] of [5, 5, 5, 6, 6, 8].entries()) say(second, JSON.stringify({ index }))
  const read: string[] = []
  let cursor = 0
  for (let page = 0; page < 3; page++) {
    const { lines, cursor: next } = await docker.readLogs(handle, cursor, 2)
    read.push(...lines)
    cursor = next
  }
  expect(read).toEqual([0, 1, 2, 3, 4, 5].map((index) => JSON.stringify({ index })))
  expect(await docker.readLogs(handle, cursor, 2)).toEqual({ lines: [], cursor })
  say(8, 'oh', 2)
  const { lines } = await docker.readLogs(handle, cursor, 2)
  expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
    { ts: '2026-01-02T03:04:08.000Z', level: 'error', stream: 'stderr', msg: 'oh' },
  ])
})

test('the address of an engine is one of a socket or a port', async ({ engine }) => {
  for (const url of ['ftp://x', 'unix://', 'nonsense', 'tcp://']) {
    expect(() => createDockerDriver({ url }, 'here')).toThrow('address of a Docker engine')
  }
  const drivers = await createDrivers({ installation: 'here', docker: { url: engine.url } })
  expect([...drivers.keys()]).toEqual(['docker'])
})
