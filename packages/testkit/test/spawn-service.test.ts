import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { identify, isAlive } from '@hypercode/local-stack'
import { expect, test } from 'vitest'
import { spawnService, waitFor } from '../src/tools.ts'

const TINY = { entry: 'packages/testkit/test/programs/tiny-service.ts', portVariable: 'TINY_PORT' }

test('starts, answers, tells its log, and ends on SIGTERM', async () => {
  const service = await spawnService({ ...TINY, env: { GREETING: 'hi' } })
  const answer: unknown = await (await fetch(`${service.url}/x`)).json()
  expect(answer).toEqual({ path: '/x', greeting: 'hi' })
  expect(await service.waitForLine((line) => line['path'] === '/x', 'the request')).toMatchObject({ msg: 'request' })
  expect(service.lines[0]).toEqual({ level: 'info', msg: 'listening', pid: service.pid })
  expect(await service.stop()).toEqual({ code: null, signal: 'SIGTERM' })
  expect([service.running, service.kill('SIGKILL')]).toEqual([false, false])
})

test('gets only the environment that it was given', async () => {
  process.env['GREETING'] = 'from the test process'
  const service = await spawnService({ ...TINY, env: {} })
  expect(await (await fetch(service.url)).json()).toMatchObject({ greeting: '' })
  await service.stop()
})

test('starts again on the same port, after a kill and with another setting', async () => {
  const service = await spawnService({ ...TINY, env: { GREETING: 'one' } })
  const [{ pid }, url] = [service, service.url]
  service.kill('SIGKILL')
  expect(await service.exited).toEqual({ code: null, signal: 'SIGKILL' })
  await service.restart({ GREETING: 'two' })
  expect(service.pid).not.toBe(pid)
  expect(await (await fetch(url)).json()).toMatchObject({ greeting: 'two' })
  await service.stop()
})

test('a service that does not obey, or is frozen, is ended all the same', async () => {
  const service = await spawnService({ ...TINY, env: { STUBBORN: '1' } })
  service.kill('SIGSTOP')
  expect(await service.stop(200)).toEqual({ code: null, signal: 'SIGKILL' })
})

test('a service that ends before it is ready fails at once, with what it wrote', async () => {
  const from = performance.now()
  await expect(spawnService({ ...TINY, env: { FAIL: '1' } })).rejects.toThrow(/exit 3[^]*told to fail/)
  expect(performance.now() - from).toBeLessThan(10_000)
})

// Goal: no service outlives the process that started it. Method: a process starts one and is killed without a chance to clean up.
test('a service ends with the process that started it, even when that is killed', async () => {
  const parent = spawn(
    process.execPath,
    ['--conditions=@hypercode/source', path.join(import.meta.dirname, 'programs/parent.ts')],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  const [chunk] = (await once(parent.stdout, 'data')) as [Buffer]
  const child = identify(Number(String(chunk)))
  if (child === undefined) throw new Error('the service does not run')
  parent.kill('SIGKILL')
  await waitFor(() => !isAlive(child), { what: 'the service to end' })
  expect(isAlive(child)).toBe(false)
})
