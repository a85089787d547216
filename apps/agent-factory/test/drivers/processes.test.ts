import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { waitFor } from '@hypercode/testkit/tools'
import { describe, expect } from 'vitest'
import { killLaunch } from '../../src/drivers/process/kill-launch.ts'
import { identify, isAlive, launchProcesses, memoryOf, signalProcess } from '../../src/drivers/process/processes.ts'
import { hasProc, isRunning, test as base } from './setup.ts'

const test = base.extend('sleeper', async ({ folder }, { onCleanup }) => {
  const child = spawn('/bin/sleep', ['600'], { cwd: folder, detached: true, stdio: 'ignore' })
  await once(child, 'spawn')
  onCleanup(() => void child.kill('SIGKILL'))
  return child
})
const pidOf = (child: ChildProcess): number => child.pid ?? expect.fail('it runs')

describe('a process', () => {
  test('is not taken for another one with its number', async ({ sleeper, folder }) => {
    const identity = identify(pidOf(sleeper)) ?? expect.fail('it runs')
    const earlier = {
      pid: identity.pid,
      startTime: hasProc ? identity.startTime.replace(/\d$/, (last) => `${(Number(last) + 1) % 10}`) : 'then',
    }
    expect(isAlive(identity)).toBe(true)
    expect(isAlive(earlier)).toBe(false)
    expect(signalProcess(earlier, 'SIGKILL')).toBe(false)
    expect(launchProcesses(earlier)).toEqual([])
    await killLaunch({ agent: earlier, cgroups: [], home: `${folder}/nobody-lives-here` })
    expect(isRunning(identity.pid)).toBe(true)
    expect(memoryOf(launchProcesses(identity))).toBeGreaterThan(10_000)
  })

  test.runIf(hasProc)('of an earlier boot has left no group behind', async ({ sleeper }) => {
    const identity = identify(pidOf(sleeper)) ?? expect.fail('it runs')
    const [, ticks] = identity.startTime.split(':')
    expect(launchProcesses({ ...identity, startTime: `another-boot:${ticks}` })).toEqual([])
  })

  test('that is a zombie is gone', async ({ sleeper }) => {
    const identity = identify(pidOf(sleeper)) ?? expect.fail('it runs')
    sleeper.kill('SIGKILL')
    await waitFor(() => !isAlive(identity), { what: 'it is gone' })
    expect(launchProcesses(identity)).toEqual([])
  })
})

describe('everything of a launch', () => {
  test('is found when its first process is gone', async ({ folder }) => {
    const script = '/bin/sleep 600 & echo $!; read wait'
    const parent = spawn('/bin/sh', ['-c', script], { cwd: folder, detached: true, stdio: ['pipe', 'pipe', 'ignore'] })
    const [said] = (await once(parent.stdout, 'data')) as [Buffer]
    const identity = identify(pidOf(parent)) ?? expect.fail('it runs')
    expect(launchProcesses(identity)).toHaveLength(2)
    parent.kill('SIGKILL')
    await once(parent, 'exit')
    expect(launchProcesses(identity).map(({ pid }) => pid)).toEqual([Number(said.toString())])
    await killLaunch({ agent: identity, cgroups: [], home: `${folder}/nobody-lives-here` })
    expect(isRunning(Number(said.toString()))).toBe(false)
  })

  test.runIf(hasProc)('is found by its home, and nobody else is', async ({ folder, sleeper }) => {
    const env = { HOME: `${folder}/home` }
    const lodger = spawn('/bin/sleep', ['600'], { cwd: '/', env, detached: true, stdio: 'ignore' })
    await once(lodger, 'spawn')
    await killLaunch({ agent: undefined, cgroups: [], home: `${folder}/home` })
    expect(isRunning(pidOf(lodger))).toBe(false)
    expect(isRunning(pidOf(sleeper))).toBe(true)
  })
})
