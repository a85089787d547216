import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import type { ProcessDriverConfig } from '../../src/drivers/config.ts'
import type { Driver, Handle } from '../../src/drivers/driver.ts'
import { findCgroupPlaces } from '../../src/drivers/process/cgroup-places.ts'
import { createProcessDriver } from '../../src/drivers/process/process-driver.ts'
import { identify, launchProcesses } from '../../src/drivers/process/processes.ts'
import { MIB, exitOf, hasProc, launchOf, logOf, never, startAgent, test } from './setup.ts'

const places = findCgroupPlaces().flatMap((place) => [...place.controllers])

describe.runIf(places.includes('memory') && places.includes('cpu'))('with control groups', { timeout: 60_000 }, () => {
  test('who holds too much is ended by the kernel, and that is told apart', async ({ driver }) => {
    const handle = await driver.start(launchOf(['buffers'], { memoryBytes: 160 * MIB }), never())
    expect(handle['memoryLimit']).toBe('cgroup')
    expect(await exitOf(driver, handle)).toMatchObject({ reason: 'out_of_memory', signal: 'SIGKILL' })
  })

  test('who fills the heap of V8 aborts before that, which is told apart from other aborts', async ({ driver }) => {
    const handle = await driver.start(launchOf(['heap'], { memoryBytes: 256 * MIB }), never())
    expect(await exitOf(driver, handle)).toMatchObject({ reason: 'out_of_memory', signal: 'SIGABRT' })
    expect(JSON.stringify(await logOf(driver, handle))).toContain('JavaScript heap out of memory')
    const other = await startAgent(driver, ['wait'])
    process.kill(Number(other['pid']), 'SIGABRT')
    expect(await exitOf(driver, other)).toMatchObject({ reason: 'killed', signal: 'SIGABRT' })
  })

  test('a kill -9 within the limits is not taken for it', async ({ driver }) => {
    const handle = await startAgent(driver, ['wait'])
    process.kill(Number(handle['pid']), 'SIGKILL')
    expect(await exitOf(driver, handle)).toMatchObject({ reason: 'killed' })
  })

  test('a twentieth of a core is not more than that', async ({ driver }) => {
    await expectCpu(driver, 'cgroup')
  })

  test('nothing of them is left behind', async ({ driver, config }) => {
    const handle = await startAgent(driver, ['wait'])
    const record = path.join(config.folder, 'launches', handle.launchId, 'agent.json')
    const { cgroups } = JSON.parse(await readFile(record, 'utf8')) as { cgroups: string[] }
    expect(cgroups.length).toBeGreaterThan(0)
    expect(cgroups.every((folder) => existsSync(folder))).toBe(true)
    await driver.kill(handle)
    expect(cgroups.some((folder) => existsSync(folder))).toBe(false)
  })
})

describe('without control groups', { timeout: 60_000 }, () => {
  test('who holds too much is ended by its keeper', async ({ driver, config }) => {
    const own = createProcessDriver(withoutCgroups(config))
    const handle = await own.start(launchOf(['buffers'], { memoryBytes: 160 * MIB }), never())
    expect(handle['memoryLimit']).toBe('watched')
    expect(await exitOf(driver, handle)).toMatchObject({ reason: 'out_of_memory', signal: 'SIGKILL' })
  })

  test.runIf(hasProc)('a twentieth of a core is not much more than that', async ({ config }) => {
    await expectCpu(createProcessDriver(withoutCgroups(config)), 'paused')
  })

  test.runIf(hasProc)('who is being held back still ends in good order', async ({ driver, config }) => {
    const handle = await startAgent(createProcessDriver(withoutCgroups(config)), ['spin'], { cpu: 0.1 })
    await driver.stop(handle, 5000)
    expect(await driver.inspect(handle)).toMatchObject({ exit: { reason: 'killed', signal: 'SIGTERM' } })
  })
})

test('a full heap of V8 is out of memory, whoever notices it first', async ({ driver }) => {
  const handle = await driver.start(launchOf(['heap'], { memoryBytes: 256 * MIB }), never())
  expect(await exitOf(driver, handle)).toMatchObject({ reason: 'out_of_memory' })
})

const withoutCgroups = (config: ProcessDriverConfig): ProcessDriverConfig => ({ ...config, cgroups: 'off' })

/**
 * Two endless loops at the same time, one of them limited: on a busy machine nobody gets a core, so what counts is also the
 * difference.
 */
async function expectCpu(driver: Driver, cpuLimit: string): Promise<void> {
  const limited = await startAgent(driver, ['spin'], { cpu: 0.05 })
  expect(limited['cpuLimit']).toBe(cpuLimit)
  const free = await startAgent(driver, ['spin'], { cpu: 64 })
  // What could be saved up until now is used up.
  await sleep(500)
  const before = [cpuMsOf(limited), cpuMsOf(free), performance.now()] as const
  await sleep(4000)
  const after = [cpuMsOf(limited), cpuMsOf(free), performance.now()] as const
  await driver.kill(limited)
  await driver.kill(free)
  const [ofLimited, ofFree, ms] = [after[0] - before[0], after[1] - before[1], after[2] - before[2]]
  expect(ofLimited / ms).toBeLessThan(0.1)
  expect(ofLimited / ofFree).toBeLessThan(0.6)
  expect(ofLimited).toBeGreaterThan(0)
}

function cpuMsOf(handle: Handle): number {
  const agent = identify(Number(handle['pid'])) ?? expect.fail('it runs')
  return launchProcesses(agent).reduce((sum, entry) => sum + (entry.cpuMs ?? 0), 0)
}
