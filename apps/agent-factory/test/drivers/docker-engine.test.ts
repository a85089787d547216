/** The docker driver against a real engine (Docker, or podman with its Docker API). Skipped where there is none: see the README. */
import { randomUUID } from 'node:crypto'
import { waitFor } from '@hypercode/testkit/tools'
import { afterAll, beforeAll, describe, expect } from 'vitest'
import { createDockerDriver } from '../../src/drivers/docker/docker-driver.ts'
import { connectEngine } from '../../src/drivers/docker/engine.ts'
import type { Handle, Launch } from '../../src/drivers/driver.ts'
import { buildImage, findEngine } from './engine-setup.ts'
import { MIB, exitOf, launchOf, logOf, never, startAgent, test as base, untilSays } from './setup.ts'

const url = await findEngine()
let image: Awaited<ReturnType<typeof buildImage>>

const test = base.extend('docker', async ({ task }, { onCleanup }) => {
  const driver = createDockerDriver({ url: url ?? '', network: 'none' }, `test-${randomUUID()}`.slice(0, 40))
  onCleanup(async () => {
    for (const handle of await driver.list()) {
      await driver.kill(handle)
      await driver.forget(handle)
    }
    expect(await driver.list(), task.name).toEqual([])
  })
  return driver
})

describe.runIf(url !== undefined)('against a real engine', { timeout: 60_000 }, () => {
  beforeAll(async () => {
    image = await buildImage(url ?? '')
  }, 120_000)
  afterAll(async () => await image.remove())

  const inspectRaw = async (handle: Handle) =>
    await connectEngine(url ?? '')
      .docker.getContainer(String(handle['container']))
      .inspect()
  const contained = (args: readonly string[], more: Partial<Launch> = {}): Launch =>
    launchOf(args, { entry: { image: image.name }, ...more })

  test('a container starts once, has only what it was given, and no rights', async ({ docker }) => {
    process.env['CANARY_OF_THE_FACTORY'] = 'sings'
    const value = `s3cret-${randomUUID()}`
    const launch = contained(['secret', 'MODEL_KEY'], { secrets: { MODEL_KEY: value }, env: { COLOUR: 'blue' } })
    const handles = await Promise.all([docker.start(launch, never()), docker.start(launch, never())])
    const [handle] = handles
    expect(handles[1]).toEqual(handle)
    expect(await docker.start(launch, never())).toEqual(handle)
    expect(await untilSays(docker, handle, 'secret')).toMatchObject({ value })
    expect((await logOf(docker, handle)).filter((line) => line['msg'] === 'started')).toHaveLength(1)
    expect(await docker.list()).toEqual([handle])
    expect(await docker.inspect(handle)).toEqual({ state: 'running' })

    const info = await connectEngine(url ?? '')
      .docker.getContainer(String(handle['container']))
      .inspect()
    expect(JSON.stringify(info)).not.toContain(value)
    expect(JSON.stringify(info)).not.toContain('sings')
    expect(info.HostConfig).toMatchObject({ ReadonlyRootfs: true, Memory: 256 * MIB, NanoCpus: 1e9 })
    await docker.kill(handle)
    await docker.forget(handle)
    await docker.forget(handle)
    expect(await docker.inspect(handle)).toEqual({ state: 'ended', exit: undefined })
    const volumes = await connectEngine(url ?? '').docker.listVolumes()
    expect(JSON.stringify(volumes)).not.toContain(handle.launchId)
  })

  test('inside it is nobody, and can write to nothing but /tmp', async ({ docker }) => {
    const handle = await startAgent(docker, ['tell'], { entry: { image: image.name } })
    const told = await untilSays(docker, handle, 'told')
    expect(told).toMatchObject({
      uid: 10_001,
      capabilities: '0000000000000000',
      noNewPrivileges: '1',
    })
    // podman puts an empty /run in memory too.
    expect(['/tmp', '/run,/tmp']).toContain(String(told['writable']))
    expect(told['env']).toMatchObject({ HOME: '/tmp', NODE_ENV: 'production' })
    await docker.kill(handle)
    await docker.forget(handle)
  })

  test('how it ended is told apart', async ({ docker }) => {
    const fullHeap = { memoryBytes: 512 * MIB, env: { NODE_OPTIONS: '--max-old-space-size=64' } }
    const cases = [
      [contained(['exit', '3']), { reason: 'exited', exitCode: 3 }],
      [contained(['heap'], fullHeap), { reason: 'out_of_memory' }],
    ] as const
    for (const [launch, exit] of cases) {
      const handle = await docker.start(launch, never())
      expect(await exitOf(docker, handle), JSON.stringify(await logOf(docker, handle))).toMatchObject(exit)
      expect(await docker.start(launch, never())).toEqual(handle)
      await docker.forget(handle)
    }
  })

  test('who holds too much is ended by the kernel; some engines do not say that it was for that', async ({
    docker,
  }) => {
    const handle = await docker.start(contained(['buffers'], { memoryBytes: 160 * MIB }), never())
    const exit = await exitOf(docker, handle)
    const { State } = await inspectRaw(handle)
    expect(exit).toMatchObject({ reason: State.OOMKilled ? 'out_of_memory' : 'killed', signal: 'SIGKILL' })
    await docker.forget(handle)
  })

  test('it is asked to end, and made to when it does not', async ({ docker }) => {
    const handle = await startAgent(docker, ['stubborn'], { entry: { image: image.name } })
    await expect(docker.forget(handle)).rejects.toThrow('HTTP code')
    await docker.stop(handle, 1000)
    expect(await docker.inspect(handle)).toMatchObject({
      state: 'ended',
      exit: { reason: 'killed', signal: 'SIGKILL' },
    })
    expect(await logOf(docker, handle)).toContainEqual({ msg: 'no' })
    await docker.stop(handle, 1000)
    await docker.forget(handle)
  })

  test('its log is read page by page, each line once', async ({ docker }) => {
    const handle = await startAgent(docker, ['count'], { entry: { image: image.name } })
    await waitFor(async () => (await logOf(docker, handle)).length > 150, { what: '150 lines', timeoutMs: 20_000 })
    await docker.kill(handle)
    const all = (await docker.readLogs(handle, 0, 10_000)).lines
    const read: string[] = []
    for (
      let page = await docker.readLogs(handle, 0, 40);
      page.lines.length > 0;
      page = await docker.readLogs(handle, page.cursor, 40)
    ) {
      expect(page.lines.length).toBeLessThanOrEqual(40)
      read.push(...page.lines)
    }
    expect(read).toEqual(all)
    const numbers = read.slice(1).map((line) => (JSON.parse(line) as { line: number }).line)
    expect(numbers).toEqual(numbers.map((_, index) => index))
    await docker.forget(handle)
  })

  test('an image that is nowhere does not start', async ({ docker }) => {
    const launch = launchOf([], { entry: { image: 'localhost/hypercode-is-not-there:none' } })
    await expect(docker.start(launch, never())).rejects.toThrow('hypercode-is-not-there')
    expect(await docker.list()).toEqual([])
  })
})
