import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { waitFor } from '@hypercode/testkit/tools'
import { expect } from 'vitest'
import type { ProcessDriverConfig } from '../../src/drivers/config.ts'
import type { Handle, Launch } from '../../src/drivers/driver.ts'
import { exitOf, launchOf, logOf, never, test, untilSays } from './setup.ts'

const FACTORY = fileURLToPath(new URL('./agents/factory.ts', import.meta.url))

test('an agent outlives a factory that is killed, and the next one finds all of it', async ({ driver, config }) => {
  const factory = await startFactory(config, launchOf(['count'], { labels: { a: 'b' } }))
  const handle = JSON.parse(await factory.line()) as Handle
  await untilSays(driver, handle, 'line')
  await factory.kill()

  expect(await driver.list()).toEqual([handle])
  expect(await driver.inspect(handle)).toMatchObject({ state: 'running' })
  const before = (await logOf(driver, handle)).length
  await waitFor(async () => (await logOf(driver, handle)).length > before + 20, { what: 'the log goes on' })
  const numbers = (await logOf(driver, handle)).filter((line) => line['msg'] === 'line').map((line) => line['line'])
  expect(numbers).toEqual(numbers.map((_, index) => index))

  process.kill(Number(handle['pid']), 'SIGKILL')
  expect(await exitOf(driver, handle)).toMatchObject({ reason: 'killed', signal: 'SIGKILL' })
})

test('how an agent ended while no factory was there is known afterwards', async ({ driver, config }) => {
  const factory = await startFactory(config, launchOf(['wait']))
  const handle = JSON.parse(await factory.line()) as Handle
  await factory.kill()
  process.kill(Number(handle['pid']), 'SIGTERM')
  expect(await exitOf(driver, handle)).toMatchObject({ reason: 'killed', signal: 'SIGTERM' })
})

test.for([0, 5, 10, 20, 40, 80])(
  'a factory killed %i ms into a start leaves one agent, not none or two',
  async (ms, { driver, config }) => {
    const launch = launchOf(['wait'])
    const factory = await startFactory(config, launch)
    await sleep(ms)
    await factory.kill()

    const handle = await driver.start(launch, never())
    await untilSays(driver, handle, 'started')
    expect(await driver.list()).toEqual([handle])
    // The keeper that was on its way when its factory died has had the time to do what it would do.
    await sleep(300)
    expect((await logOf(driver, handle)).filter((line) => line['msg'] === 'started')).toHaveLength(1)
    await driver.kill(handle)
    expect(await driver.list()).toEqual([])
  },
)

interface Factory {
  line(): Promise<string>
  kill(): Promise<void>
}

/** Resolves when it is about to start the launch. */
async function startFactory(config: ProcessDriverConfig, launch: Launch): Promise<Factory> {
  const child: ChildProcess = spawn(
    process.execPath,
    ['--conditions=@hypercode/source', FACTORY, JSON.stringify(config), JSON.stringify(launch)],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  const exited = once(child, 'exit')
  const lines: AsyncIterator<string> = createInterface({ input: child.stdout ?? expect.fail() })[Symbol.asyncIterator]()
  const line = async (): Promise<string> => String((await lines.next()).value)
  expect(await line()).toBe('begin')
  return {
    line,
    kill: async () => {
      child.kill('SIGKILL')
      await exited
    },
  }
}
