import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import { never } from './setup.ts'
import { nameOf, pod, podOf, statusWith, test } from './pods.ts'

describe('an end', () => {
  const at = new Date('2026-01-02T03:05:00Z')
  test.for([
    [
      { exitCode: 0, reason: 'Completed' },
      { reason: 'exited', exitCode: 0 },
    ],
    [
      { exitCode: 3, reason: 'Error' },
      { reason: 'exited', exitCode: 3 },
    ],
    [
      { exitCode: 137, reason: 'Error' },
      { reason: 'killed', exitCode: 137, signal: 'SIGKILL' },
    ],
    [
      { exitCode: 137, reason: 'OOMKilled' },
      { reason: 'out_of_memory', exitCode: 137, signal: 'SIGKILL' },
    ],
    [
      { exitCode: 134, reason: 'Error' },
      { reason: 'killed', exitCode: 134, signal: 'SIGABRT' },
    ],
  ] as const)('%o is %o', async ([end, exit], { cluster, driver }) => {
    const launch = pod()
    const handle = await driver.start(launch, never())
    podOf(cluster, launch).status = statusWith({ terminated: { ...end, finishedAt: at } })
    expect(await driver.inspect(handle)).toEqual({ state: 'ended', exit: { ...exit, at } })
    expect(await driver.list()).toEqual([])
  })

  test('of a full heap is out of memory', async ({ cluster, driver }) => {
    const launch = pod()
    const handle = await driver.start(launch, never())
    podOf(cluster, launch).status = statusWith({ terminated: { exitCode: 134, finishedAt: at } })
    cluster.logs.set(nameOf(launch), ['2026-01-02T03:04:59Z FATAL ERROR: JavaScript heap out of memory'])
    expect(await driver.inspect(handle)).toMatchObject({ exit: { reason: 'out_of_memory' } })
  })

  test('of a pod that never had a container is known, its cause is not', async ({ cluster, driver }) => {
    const launch = pod()
    const handle = await driver.start(launch, never())
    podOf(cluster, launch).status = { phase: 'Failed', reason: 'Evicted' }
    expect(await driver.inspect(handle)).toEqual({ state: 'ended', exit: undefined })
  })

  test('is waited for, and asked for as often as one likes', async ({ cluster, driver }) => {
    const launch = pod()
    const handle = await driver.start(launch, never())
    await expect(driver.forget(handle)).rejects.toThrow('is running')
    cluster.held.add(nameOf(launch))
    let gone = false
    const stopping = driver.stop(handle, 2500).then(() => {
      gone = true
    })
    await sleep(600)
    expect(gone).toBe(false)
    cluster.held.clear()
    cluster.pods.clear()
    await stopping
    expect(cluster.requests.filter((line) => line.startsWith('DELETE'))).toEqual([
      `DELETE /api/v1/namespaces/agents/pods/${nameOf(launch)}?gracePeriodSeconds=3`,
    ])
    await driver.stop(handle, 0)
    await driver.kill(handle)
    await driver.forget(handle)
    expect(cluster.requests.every((line) => !line.includes('gracePeriodSeconds=0'))).toBe(true)
    expect(await driver.inspect(handle)).toEqual({ state: 'ended', exit: undefined })
    expect(await driver.readLogs(handle, 7, 10)).toEqual({ lines: [], cursor: 7 })
  })
})

test('what a cluster does not know, or does not say, is unknown', async ({ cluster, driver }) => {
  const launch = pod()
  const handle = await driver.start(launch, never())
  expect(await driver.inspect(handle)).toEqual({ state: 'running' })
  podOf(cluster, launch).status = { phase: 'Unknown', reason: 'NodeLost' }
  expect(await driver.inspect(handle)).toEqual({ state: 'unknown' })
  expect(await driver.list()).toEqual([handle])
  cluster.failNext('GET', 503)
  expect(await driver.inspect(handle)).toEqual({ state: 'unknown' })
  expect(await driver.inspect({ ...handle, host: 'elsewhere' })).toEqual({ state: 'unknown' })
  await cluster.close()
  expect(await driver.inspect(handle)).toEqual({ state: 'unknown' })
  await expect(driver.start(launch, never())).rejects.toThrow('fetch failed')
})
